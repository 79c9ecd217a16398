package main

import (
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func commitRequest(b *broker, v int16, group, topic string, partition int32, offset int64) *kmsg.OffsetCommitRequest {
	request := kmsg.NewPtrOffsetCommitRequest()
	request.Version, request.Group, request.Generation = v, group, -1
	row := kmsg.NewOffsetCommitRequestTopic()
	if v >= 10 {
		row.TopicID = b.idOf(topic)
	} else {
		row.Topic = topic
	}
	part := kmsg.NewOffsetCommitRequestTopicPartition()
	part.Partition, part.Offset, part.Metadata = partition, offset, pointer("note")
	if v >= 6 {
		part.LeaderEpoch = 4
	}
	row.Partitions = append(row.Partitions, part)
	request.Topics = append(request.Topics, row)
	return request
}

func fetchOffsetsRequest(b *broker, v int16, group, topic string, partitions ...int32) *kmsg.OffsetFetchRequest {
	request := kmsg.NewPtrOffsetFetchRequest()
	request.Version = v
	if v < 8 {
		request.Group = group
		row := kmsg.NewOffsetFetchRequestTopic()
		row.Topic, row.Partitions = topic, partitions
		request.Topics = append(request.Topics, row)
		return request
	}
	request.Groups = append(request.Groups, groupOffsets(b, v, group, topic, partitions...))
	return request
}

func groupOffsets(b *broker, v int16, group, topic string, partitions ...int32) kmsg.OffsetFetchRequestGroup {
	asked := kmsg.NewOffsetFetchRequestGroup()
	asked.Group = group
	row := kmsg.NewOffsetFetchRequestGroupTopic()
	row.Partitions = partitions
	if v >= 10 {
		row.TopicID = b.idOf(topic)
	} else {
		row.Topic = topic
	}
	asked.Topics = append(asked.Topics, row)
	return asked
}

func (b *broker) idOf(topic string) [16]byte {
	for id, name := range b.ids {
		if name == topic {
			return id
		}
	}
	return strangerID
}

const sharedTopic = "groups.shared"

// committing shows a commit, and what can be fetched afterwards.
func committing(change func(b *broker, r *kmsg.OffsetCommitRequest)) func(*broker, int16) string {
	return func(b *broker, v int16) string {
		b.coordinated()
		b.shared(sharedTopic, 2)
		request := commitRequest(b, v, b.topic, sharedTopic, 0, 11)
		change(b, request)
		if request.Topics == nil && v < 0 {
			return skipped
		}
		shown := b.show(request)
		if strings.Contains(request.Group, "xxx") {
			return shown
		}
		return shown + " then " + b.show(fetchOffsetsRequest(b, 7, request.Group, sharedTopic, 0))
	}
}

func by(m member, generation int32, r *kmsg.OffsetCommitRequest) {
	r.MemberID, r.Generation = m.id, generation
	if m.instance != "" && r.Version >= 7 {
		r.InstanceID = pointer(m.instance)
	}
}

var offsetCommitProbes = []probe{
	{"simple", committing(func(*broker, *kmsg.OffsetCommitRequest) {})},
	{"member", committing(func(b *broker, r *kmsg.OffsetCommitRequest) { by(b.alone(b.topic, member{}), 1, r) })},
	{"generation-old", committing(func(b *broker, r *kmsg.OffsetCommitRequest) { by(b.alone(b.topic, member{}), 0, r) })},
	{"generation-future", committing(func(b *broker, r *kmsg.OffsetCommitRequest) { by(b.alone(b.topic, member{}), 9, r) })},
	{"generation-none", committing(func(b *broker, r *kmsg.OffsetCommitRequest) { by(b.alone(b.topic, member{}), -1, r) })},
	{"member-unknown", committing(func(b *broker, r *kmsg.OffsetCommitRequest) {
		b.alone(b.topic, member{})
		by(member{id: "nobody"}, 1, r)
	})},
	{"simple-in-live-group", committing(func(b *broker, r *kmsg.OffsetCommitRequest) { b.alone(b.topic, member{}) })},
	{"simple-in-left-group", committing(func(b *broker, r *kmsg.OffsetCommitRequest) {
		b.mustAsk(leaveRequest(3, b.topic, b.alone(b.topic, member{})))
	})},
	{"member-in-left-group", committing(func(b *broker, r *kmsg.OffsetCommitRequest) {
		m := b.alone(b.topic, member{})
		b.mustAsk(leaveRequest(3, b.topic, m))
		by(m, 1, r)
	})},
	{"member-without-group", committing(func(b *broker, r *kmsg.OffsetCommitRequest) { by(member{id: "nobody"}, 1, r) })},
	{"id-without-generation", committing(func(b *broker, r *kmsg.OffsetCommitRequest) { by(member{id: "nobody"}, -1, r) })},
	{"before-sync", committing(func(b *broker, r *kmsg.OffsetCommitRequest) {
		m := member{}
		by(m, b.joins(&m, b.topic), r)
		r.MemberID = m.id
	})},
	{"preparing", func(b *broker, v int16) string {
		b.shared(sharedTopic, 2)
		return preparing(func(m member, v int16, group string) kmsg.Request {
			r := commitRequest(b, v, group, sharedTopic, 0, 12)
			by(m, 1, r)
			return r
		})(b, v)
	}},
	{"fenced", func(b *broker, v int16) string {
		b.shared(sharedTopic, 2)
		return fenced(7, func(m member, v int16, group string) kmsg.Request {
			r := commitRequest(b, v, group, sharedTopic, 0, 12)
			by(m, 1, r)
			return r
		})(b, v)
	}},
	{"topic-unknown", func(b *broker, v int16) string {
		b.coordinated()
		b.shared(sharedTopic, 2)
		request := commitRequest(b, v, b.topic, "groups.absent", 0, 1)
		request.Topics = append(request.Topics, commitRequest(b, v, b.topic, sharedTopic, 1, 5).Topics[0])
		return b.show(request)
	}},
	{"partition-99", committing(func(b *broker, r *kmsg.OffsetCommitRequest) { r.Topics[0].Partitions[0].Partition = 99 })},
	{"partition-negative", committing(func(b *broker, r *kmsg.OffsetCommitRequest) { r.Topics[0].Partitions[0].Partition = -1 })},
	{"offset-negative", committing(func(b *broker, r *kmsg.OffsetCommitRequest) { r.Topics[0].Partitions[0].Offset = -5 })},
	{"offset-far", committing(func(b *broker, r *kmsg.OffsetCommitRequest) { r.Topics[0].Partitions[0].Offset = 1 << 40 })},
	{"metadata-null", committing(func(b *broker, r *kmsg.OffsetCommitRequest) { r.Topics[0].Partitions[0].Metadata = nil })},
	{"metadata-longest", func(b *broker, v int16) string {
		b.coordinated()
		b.shared(sharedTopic, 2)
		request := commitRequest(b, v, b.topic, sharedTopic, 0, 1)
		request.Topics[0].Partitions[0].Metadata = pointer(strings.Repeat("m", 4096))
		return b.show(request)
	}},
	{"metadata-too-long", committing(func(b *broker, r *kmsg.OffsetCommitRequest) {
		r.Topics[0].Partitions[0].Metadata = pointer(strings.Repeat("m", 4097))
	})},
	{"group-empty", func(b *broker, v int16) string {
		b.coordinated()
		b.shared(sharedTopic, 2)
		return b.show(commitRequest(b, v, "", sharedTopic, 0, 1))
	}},
	{"nothing", committing(func(b *broker, r *kmsg.OffsetCommitRequest) { r.Topics = r.Topics[:0] })},
	{"nothing-by-unknown", committing(func(b *broker, r *kmsg.OffsetCommitRequest) {
		r.Topics = r.Topics[:0]
		by(member{id: "nobody"}, 1, r)
	})},
	{"partition-twice", committing(func(b *broker, r *kmsg.OffsetCommitRequest) {
		again := r.Topics[0].Partitions[0]
		again.Offset = 12
		r.Topics[0].Partitions = append(r.Topics[0].Partitions, again)
	})},
}

// fetching shows what a group with an offset in partition 0 of the shared topic has.
func fetchingOffsets(since int16, change func(b *broker, r *kmsg.OffsetFetchRequest)) func(*broker, int16) string {
	return func(b *broker, v int16) string {
		if v < since {
			return skipped
		}
		b.coordinated()
		b.shared(sharedTopic, 2)
		b.mustAsk(commitRequest(b, 6, b.topic, sharedTopic, 0, 11))
		request := fetchOffsetsRequest(b, v, b.topic, sharedTopic, 0, 1)
		if v >= 7 {
			request.RequireStable = true
		}
		change(b, request)
		return b.show(request)
	}
}

var offsetFetchProbes = []probe{
	{"named", fetchingOffsets(0, func(*broker, *kmsg.OffsetFetchRequest) {})},
	{"all", fetchingOffsets(2, func(b *broker, r *kmsg.OffsetFetchRequest) {
		if r.Version < 8 {
			r.Topics = nil
		} else {
			r.Groups[0].Topics = nil
		}
	})},
	{"nothing", fetchingOffsets(0, func(b *broker, r *kmsg.OffsetFetchRequest) {
		if r.Version < 8 {
			r.Topics = []kmsg.OffsetFetchRequestTopic{}
		} else {
			r.Groups[0].Topics = []kmsg.OffsetFetchRequestGroupTopic{}
		}
	})},
	{"partition-99", fetchingOffsets(0, func(b *broker, r *kmsg.OffsetFetchRequest) {
		*r = *fetchOffsetsRequest(b, r.Version, b.topic, sharedTopic, 99, -1)
	})},
	{"topic-unknown", fetchingOffsets(0, func(b *broker, r *kmsg.OffsetFetchRequest) {
		*r = *fetchOffsetsRequest(b, r.Version, b.topic, "groups.absent", 0)
	})},
	{"group-unknown", fetchingOffsets(0, func(b *broker, r *kmsg.OffsetFetchRequest) {
		*r = *fetchOffsetsRequest(b, r.Version, b.topic+".absent", sharedTopic, 0)
	})},
	{"group-unknown-all", fetchingOffsets(2, func(b *broker, r *kmsg.OffsetFetchRequest) {
		*r = *fetchOffsetsRequest(b, r.Version, b.topic+".absent", sharedTopic, 0)
		if r.Version < 8 {
			r.Topics = nil
		} else {
			r.Groups[0].Topics = nil
		}
	})},
	{"several", fetchingOffsets(8, func(b *broker, r *kmsg.OffsetFetchRequest) {
		r.Groups = append(r.Groups, groupOffsets(b, r.Version, b.topic+".absent", sharedTopic, 0))
	})},
	{"no-group", fetchingOffsets(8, func(b *broker, r *kmsg.OffsetFetchRequest) { r.Groups = nil })},
	{"member-unknown", fetchingOffsets(9, func(b *broker, r *kmsg.OffsetFetchRequest) {
		r.Groups[0].MemberID, r.Groups[0].MemberEpoch = pointer("nobody"), 3
	})},
	{"live-group", fetchingOffsets(0, func(b *broker, r *kmsg.OffsetFetchRequest) { b.alone(b.topic, member{}) })},
}

func forgetting(topic string, prepare func(b *broker)) func(*broker, int16) string {
	return func(b *broker, v int16) string {
		b.coordinated()
		b.shared(sharedTopic, 2)
		prepare(b)
		request := kmsg.NewPtrOffsetDeleteRequest()
		request.Version, request.Group = v, b.topic
		row := kmsg.NewOffsetDeleteRequestTopic()
		row.Topic = topic
		for _, partition := range []int32{0, 1, 99} {
			row.Partitions = append(row.Partitions, kmsg.OffsetDeleteRequestTopicPartition{Partition: partition})
		}
		request.Topics = append(request.Topics, row)
		return b.show(request) + " then " + b.show(fetchOffsetsRequest(b, 7, b.topic, sharedTopic, 0))
	}
}

func committedSimply(b *broker) { b.mustAsk(commitRequest(b, 5, b.topic, sharedTopic, 0, 3)) }

var offsetDeleteProbes = []probe{
	{"simple", forgetting(sharedTopic, committedSimply)},
	{"topic-unknown", forgetting("groups.absent", committedSimply)},
	{"group-unknown", forgetting(sharedTopic, func(*broker) {})},
	{"subscribed", forgetting(sharedTopic, func(b *broker) {
		committedSimply(b)
		b.alone(b.topic, member{subscribes: []string{sharedTopic}})
	})},
	{"not-subscribed", forgetting(sharedTopic, func(b *broker) {
		committedSimply(b)
		b.alone(b.topic, member{subscribes: []string{"groups.other"}})
	})},
	{"members-of-another-kind", forgetting(sharedTopic, func(b *broker) {
		committedSimply(b)
		b.alone(b.topic, member{kind: "connect"})
	})},
	{"left", forgetting(sharedTopic, func(b *broker) {
		committedSimply(b)
		m := b.alone(b.topic, member{subscribes: []string{sharedTopic}})
		b.mustAsk(leaveRequest(3, b.topic, m))
	})},
}
