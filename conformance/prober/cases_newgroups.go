package main

import (
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// A young member speaks the new protocol of groups (KIP-848).
type young struct {
	id, instance string
	epoch        int32
}

// joins is the first heartbeat of a member.
func (m young) joins(v int16, group string, topics ...string) *kmsg.ConsumerGroupHeartbeatRequest {
	request := m.beat(v, group)
	request.RebalanceTimeoutMillis = 20_000
	request.SubscribedTopicNames = append([]string{}, topics...)
	request.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	return request
}

// beat is a heartbeat that says nothing new.
func (m young) beat(v int16, group string) *kmsg.ConsumerGroupHeartbeatRequest {
	request := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	request.Version, request.Group, request.MemberID, request.MemberEpoch = v, group, m.id, m.epoch
	request.RebalanceTimeoutMillis = -1
	if m.instance != "" {
		request.InstanceID = pointer(m.instance)
	}
	return request
}

// settled takes a member to the epoch of its group with a full assignment: what it is told, it says it has.
func (b *broker) settled(m *young, group string, topics ...string) *kmsg.ConsumerGroupHeartbeatResponse {
	answer := b.mustAsk(m.joins(1, group, topics...)).(*kmsg.ConsumerGroupHeartbeatResponse)
	if answer.ErrorCode != 0 {
		fatal(fmt.Errorf("%s joins %s: %s", m.id, group, errorName(answer.ErrorCode)))
	}
	m.epoch = answer.MemberEpoch
	assigned := answer.Assignment
	until("an assignment of "+group, func() bool {
		if assigned != nil && len(assigned.Topics) > 0 {
			return true
		}
		answer = b.mustAsk(m.beat(1, group)).(*kmsg.ConsumerGroupHeartbeatResponse)
		m.epoch = answer.MemberEpoch
		if answer.Assignment != nil {
			assigned = answer.Assignment
		}
		return false
	})
	owns := m.beat(1, group)
	owns.RebalanceTimeoutMillis, owns.SubscribedTopicNames = 20_000, topics
	for _, topic := range assigned.Topics {
		row := kmsg.NewConsumerGroupHeartbeatRequestTopic()
		row.TopicID, row.Partitions = topic.TopicID, topic.Partitions
		owns.Topics = append(owns.Topics, row)
	}
	answer = b.mustAsk(owns).(*kmsg.ConsumerGroupHeartbeatResponse)
	m.epoch = answer.MemberEpoch
	return answer
}

// joiningWrongly shows a first heartbeat that a change makes wrong.
func joiningWrongly(change func(*kmsg.ConsumerGroupHeartbeatRequest)) func(*broker, int16) string {
	return func(b *broker, v int16) string {
		b.coordinated()
		request := young{id: "m"}.joins(v, b.topic, "probe.first")
		change(request)
		if v == 0 && request.SubscribedTopicRegex != nil {
			return skipped
		}
		return b.show(request)
	}
}

// inSettled shows what a member of a settled group of one is answered.
func inSettled(ask func(b *broker, v int16, m young) *kmsg.ConsumerGroupHeartbeatRequest) func(*broker, int16) string {
	return inSettledAs(young{id: "m"}, ask)
}

func inSettledAs(m young, ask func(b *broker, v int16, m young) *kmsg.ConsumerGroupHeartbeatRequest) func(*broker, int16) string {
	return func(b *broker, v int16) string {
		b.coordinated()
		b.makeTopic(b.topic, 2, nil)
		m := m
		b.settled(&m, b.topic, b.topic)
		return b.show(ask(b, v, m))
	}
}

var consumerGroupHeartbeatProbes = []probe{
	{"group-empty", joiningWrongly(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.Group = "" })},
	{"group-blank", joiningWrongly(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.Group = "  " })},
	{"member-empty", func(b *broker, v int16) string {
		if v == 0 { // there the broker makes the id
			return skipped
		}
		return joiningWrongly(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.MemberID = "" })(b, v)
	}},
	{"member-empty-later", joiningWrongly(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.MemberID, r.MemberEpoch = "", 3 })},
	{"member-empty-leaves", joiningWrongly(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.MemberID, r.MemberEpoch = "", -1 })},
	{"instance-empty", joiningWrongly(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.InstanceID = pointer("") })},
	{"rack-empty", joiningWrongly(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.RackID = pointer("") })},
	{"no-rebalance-timeout", joiningWrongly(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.RebalanceTimeoutMillis = -1 })},
	{"owned-null", joiningWrongly(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.Topics = nil })},
	{"owns-already", joiningWrongly(func(r *kmsg.ConsumerGroupHeartbeatRequest) {
		row := kmsg.NewConsumerGroupHeartbeatRequestTopic()
		row.TopicID, row.Partitions = strangerID, []int32{0}
		r.Topics = append(r.Topics, row)
	})},
	{"no-subscription", joiningWrongly(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.SubscribedTopicNames = nil })},
	{"assignor-unknown", joiningWrongly(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.ServerAssignor = pointer("nice") })},
	{"regex-bad", joiningWrongly(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.SubscribedTopicRegex = pointer("a(") })},
	{"away-without-instance", joiningWrongly(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.MemberEpoch = -2 })},
	{"epoch-minus-three", joiningWrongly(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.MemberEpoch = -3 })},
	{"absent-group", joiningWrongly(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.MemberEpoch = 5 })},
	{"absent-group-leaves", joiningWrongly(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.MemberEpoch = -1 })},
	{"absent-topic", joiningWrongly(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.SubscribedTopicNames = []string{"probe.absent"} })},
	{"no-topics", joiningWrongly(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.SubscribedTopicNames = []string{} })},
	{"group-slash", func(b *broker, v int16) string {
		b.coordinated()
		return b.show(young{id: "m"}.joins(v, b.topic+"/a", "probe.absent"))
	}},
	{"group-long", func(b *broker, v int16) string {
		b.coordinated()
		name := b.topic + strings.Repeat("x", 32_000)
		return strings.ReplaceAll(b.show(young{id: "m"}.joins(v, name, "probe.absent")), name, "LONG")
	}},
	{"settled", func(b *broker, v int16) string {
		b.coordinated()
		b.makeTopic(b.topic, 2, nil)
		m := young{id: "m"}
		return b.render(b.settled(&m, b.topic, b.topic))
	}},
	{"beat", inSettled(func(b *broker, v int16, m young) *kmsg.ConsumerGroupHeartbeatRequest { return m.beat(v, b.topic) })},
	{"joins-again", inSettled(func(b *broker, v int16, m young) *kmsg.ConsumerGroupHeartbeatRequest {
		m.epoch = 0
		return m.joins(v, b.topic, b.topic)
	})},
	{"epoch-ahead", inSettled(func(b *broker, v int16, m young) *kmsg.ConsumerGroupHeartbeatRequest {
		m.epoch += 5
		return m.beat(v, b.topic)
	})},
	{"epoch-behind", inSettled(func(b *broker, v int16, m young) *kmsg.ConsumerGroupHeartbeatRequest {
		b.mustAsk(young{id: "n"}.joins(1, b.topic, b.topic))
		m.epoch--
		if m.epoch < 1 {
			m.epoch = 99
		}
		return m.beat(v, b.topic)
	})},
	{"stranger", inSettled(func(b *broker, v int16, m young) *kmsg.ConsumerGroupHeartbeatRequest {
		m.id = "stranger"
		return m.beat(v, b.topic)
	})},
	{"stranger-leaves", inSettled(func(b *broker, v int16, m young) *kmsg.ConsumerGroupHeartbeatRequest {
		m.id, m.epoch = "stranger", -1
		return m.beat(v, b.topic)
	})},
	{"leaves", inSettled(func(b *broker, v int16, m young) *kmsg.ConsumerGroupHeartbeatRequest {
		m.epoch = -1
		return m.beat(v, b.topic)
	})},
	{"beat-after-leaving", inSettled(func(b *broker, v int16, m young) *kmsg.ConsumerGroupHeartbeatRequest {
		left := m
		left.epoch = -1
		b.mustAsk(left.beat(1, b.topic))
		return m.beat(v, b.topic)
	})},
	{"static-twice", inSettledAs(young{id: "m", instance: "one"}, func(b *broker, v int16, m young) *kmsg.ConsumerGroupHeartbeatRequest {
		return young{id: "n", instance: "one"}.joins(v, b.topic, b.topic)
	})},
	{"static-fenced", inSettledAs(young{id: "m", instance: "one"}, func(b *broker, v int16, m young) *kmsg.ConsumerGroupHeartbeatRequest {
		away := m
		away.epoch = -2
		b.mustAsk(away.beat(1, b.topic))
		b.mustAsk(young{id: "n", instance: "one"}.joins(1, b.topic, b.topic))
		return m.beat(v, b.topic)
	})},
	{"static-away", inSettledAs(young{id: "m", instance: "one"}, func(b *broker, v int16, m young) *kmsg.ConsumerGroupHeartbeatRequest {
		m.epoch = -2
		return m.beat(v, b.topic)
	})},
	{"static-other-instance", inSettledAs(young{id: "m", instance: "one"}, func(b *broker, v int16, m young) *kmsg.ConsumerGroupHeartbeatRequest {
		m.instance = "two"
		return m.beat(v, b.topic)
	})},
	{"interval-of-its-own", func(b *broker, v int16) string {
		b.mustAsk(altering(1, ofGroups, b.topic, changed(intervalKey, set, "9000")))
		pause()
		m := young{id: "m"}
		b.coordinated()
		b.makeTopic(b.topic, 2, nil)
		text := b.render(b.settled(&m, b.topic, b.topic))
		b.forgetGroup()
		return text
	}},
	{"beside-connect", func(b *broker, v int16) string {
		b.coordinated()
		b.alone(b.topic, member{kind: "connect", protocols: []string{"sessioned"}})
		return b.show(young{id: "m"}.joins(v, b.topic, "probe.first"))
	}},
	{"empty-classic", func(b *broker, v int16) string {
		m := b.alone(b.topic, member{kind: "connect", protocols: []string{"sessioned"}})
		leaving := kmsg.NewPtrLeaveGroupRequest()
		leaving.Version, leaving.Group, leaving.MemberID = 0, b.topic, m.id
		b.mustAsk(leaving)
		answer := b.mustAsk(young{id: "m"}.joins(v, b.topic, "probe.absent")).(*kmsg.ConsumerGroupHeartbeatResponse)
		return errorName(answer.ErrorCode)
	}},
	{"classic-member-joins", func(b *broker, v int16) string {
		b.coordinated()
		m := young{id: "m"}
		b.makeTopic(b.topic, 2, nil)
		b.settled(&m, b.topic, b.topic)
		return b.show(member{kind: "connect", protocols: []string{"sessioned"}}.join(joinVersion, b.topic))
	}},
	{"commits", func(b *broker, v int16) string {
		if v == 0 {
			return skipped
		}
		b.coordinated()
		id := b.makeTopic(b.topic, 2, nil)
		m := young{id: "m"}
		b.settled(&m, b.topic, b.topic)
		text := ""
		for _, each := range []struct {
			version int16
			id      string
			epoch   int32
		}{{9, "m", m.epoch}, {9, "m", m.epoch + 1}, {9, "m", -1}, {9, "", -1}, {9, "stranger", m.epoch}, {8, "m", m.epoch}, {10, "m", m.epoch}} {
			request := kmsg.NewPtrOffsetCommitRequest()
			request.Version, request.Group, request.MemberID, request.Generation = each.version, b.topic, each.id, each.epoch
			row := kmsg.NewOffsetCommitRequestTopic()
			row.Topic, row.TopicID = b.topic, id
			partition := kmsg.NewOffsetCommitRequestTopicPartition()
			partition.Offset = 0
			row.Partitions = append(row.Partitions, partition)
			request.Topics = append(request.Topics, row)
			answer := b.mustAsk(request).(*kmsg.OffsetCommitResponse)
			epoch := fmt.Sprintf("epoch%+d", each.epoch-m.epoch)
			if each.epoch < 0 {
				epoch = "no epoch"
			}
			text += fmt.Sprintf("v%d %q %s: %s; ", each.version, each.id, epoch, errorName(answer.Topics[0].Partitions[0].ErrorCode))
		}
		return text
	}},
}

func describingYoung(groups ...string) func(*broker, int16) string {
	return func(b *broker, v int16) string {
		b.coordinated()
		return b.show(describeYoung(v, groups...))
	}
}

func describeYoung(v int16, groups ...string) *kmsg.ConsumerGroupDescribeRequest {
	request := kmsg.NewPtrConsumerGroupDescribeRequest()
	request.Version, request.Groups = v, groups
	return request
}

var consumerGroupDescribeProbes = []probe{
	{"absent", describingYoung("probe.absent")},
	{"empty-name", describingYoung("")},
	{"none", describingYoung()},
	{"classic", func(b *broker, v int16) string {
		b.alone(b.topic, member{})
		return b.show(describeYoung(v, b.topic))
	}},
	{"one", func(b *broker, v int16) string {
		b.coordinated()
		b.makeTopic(b.topic, 2, nil)
		m := young{id: "m", instance: "one"}
		b.settled(&m, b.topic, b.topic)
		return b.show(describeYoung(v, b.topic))
	}},
	{"emptied", func(b *broker, v int16) string {
		b.coordinated()
		b.makeTopic(b.topic, 2, nil)
		m := young{id: "m"}
		b.settled(&m, b.topic, b.topic)
		m.epoch = -1
		b.mustAsk(m.beat(1, b.topic))
		answer := b.mustAsk(describeYoung(v, b.topic)).(*kmsg.ConsumerGroupDescribeResponse)
		return fmt.Sprintf("%s %s %d members", errorName(answer.Groups[0].ErrorCode), answer.Groups[0].State, len(answer.Groups[0].Members))
	}},
	{"as-the-older-request-sees-it", func(b *broker, v int16) string {
		b.coordinated()
		b.makeTopic(b.topic, 2, nil)
		m := young{id: "m"}
		b.settled(&m, b.topic, b.topic)
		request := kmsg.NewPtrDescribeGroupsRequest()
		request.Version, request.Groups = 5+v, []string{b.topic}
		return b.show(request)
	}},
}
