package main

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const twoPartitions = "admin.two"

// logDirs asks for the sizes of partitions; nil topics: of all.
func logDirs(topics ...kmsg.DescribeLogDirsRequestTopic) func(*broker, int16) string {
	return func(b *broker, v int16) string {
		if _, made := b.topicID(twoPartitions); !made {
			id := b.makeTopic(twoPartitions, 2, nil)
			b.produce(twoPartitions, id, plain("a", "b"))
		}
		request := kmsg.NewPtrDescribeLogDirsRequest()
		request.Version, request.Topics = v, topics
		answer := b.mustAsk(request).(*kmsg.DescribeLogDirsResponse)
		text := errorName(answer.ErrorCode)
		for _, dir := range answer.Dirs {
			text += fmt.Sprintf(" %s absolute=%t", errorName(dir.ErrorCode), strings.HasPrefix(dir.Dir, "/"))
			if v >= 4 {
				text += fmt.Sprintf(" total=%s usable=%s", signWord(dir.TotalBytes), signWord(dir.UsableBytes))
			}
			text += " " + fmt.Sprint(sizes(dir.Topics))
		}
		return text
	}
}

func (b *broker) topicID(topic string) ([16]byte, bool) {
	for id, name := range b.ids {
		if name == topic {
			return id, true
		}
	}
	return [16]byte{}, false
}

func sizes(topics []kmsg.DescribeLogDirsResponseDirTopic) []string {
	rows := []string{}
	for _, topic := range topics {
		if topic.Topic != twoPartitions {
			continue
		}
		for _, p := range topic.Partitions {
			rows = append(rows, fmt.Sprintf("%s-%d size=%s lag=%d future=%t", topic.Topic, p.Partition, signWord(p.Size), p.OffsetLag, p.IsFuture))
		}
	}
	sort.Strings(rows)
	return rows
}

var describeLogDirsProbes = []probe{
	{"all", logDirs()},
	{"one", logDirs(kmsg.DescribeLogDirsRequestTopic{Topic: twoPartitions, Partitions: []int32{0}})},
	{"both", logDirs(kmsg.DescribeLogDirsRequestTopic{Topic: twoPartitions, Partitions: []int32{1, 0}})},
	{"no-partitions", logDirs(kmsg.DescribeLogDirsRequestTopic{Topic: twoPartitions})},
	{"absent", logDirs(kmsg.DescribeLogDirsRequestTopic{Topic: "probe.absent", Partitions: []int32{0}})},
	{"absent-partition", logDirs(kmsg.DescribeLogDirsRequestTopic{Topic: twoPartitions, Partitions: []int32{0, 7, -1}})},
	{"twice", logDirs(kmsg.DescribeLogDirsRequestTopic{Topic: twoPartitions, Partitions: []int32{0, 0}})},
}

// electing asks for elections; nil topics: of all partitions.
func electing(kind int8, topics ...kmsg.ElectLeadersRequestTopic) func(*broker, int16) string {
	return func(b *broker, v int16) string {
		b.shared(twoPartitions, 2)
		if v < 1 && kind != 0 {
			return skipped
		}
		request := kmsg.NewPtrElectLeadersRequest()
		request.Version, request.ElectionType, request.Topics, request.TimeoutMillis = v, kind, topics, 10_000
		answer := b.mustAsk(request).(*kmsg.ElectLeadersResponse)
		if topics == nil {
			// Every topic is in it; one tells enough.
			answer.Topics = slices.DeleteFunc(answer.Topics, func(t kmsg.ElectLeadersResponseTopic) bool { return t.Topic != twoPartitions })
		}
		return b.render(answer)
	}
}

func elected(topic string, partitions ...int32) kmsg.ElectLeadersRequestTopic {
	return kmsg.ElectLeadersRequestTopic{Topic: topic, Partitions: partitions}
}

var electLeadersProbes = []probe{
	{"preferred", electing(0, elected(twoPartitions, 0, 1))},
	{"unclean", electing(1, elected(twoPartitions, 0, 1))},
	{"all", electing(0)},
	{"all-unclean", electing(1)},
	{"none", electing(0, []kmsg.ElectLeadersRequestTopic{}...)},
	{"absent", electing(0, elected("probe.absent", 0))},
	{"absent-partition", electing(0, elected(twoPartitions, 0, 7))},
	{"negative-partition", electing(0, elected(twoPartitions, -1))},
	{"twice", electing(0, elected(twoPartitions, 0), elected(twoPartitions, 0))},
}

// reassigning asks to move partitions of a topic with two; replicas count from the node, nil cancels.
func reassigning(topic string, partition int32, replicas []int32) func(*broker, int16) string {
	return func(b *broker, v int16) string {
		b.shared(twoPartitions, 2)
		request := kmsg.NewPtrAlterPartitionAssignmentsRequest()
		request.Version, request.TimeoutMillis = v, 10_000
		row := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
		row.Partition = partition
		if replicas != nil {
			row.Replicas = []int32{}
		}
		for _, replica := range replicas {
			row.Replicas = append(row.Replicas, b.node+replica)
		}
		rows := kmsg.NewAlterPartitionAssignmentsRequestTopic()
		rows.Topic, rows.Partitions = topic, append(rows.Partitions, row)
		request.Topics = append(request.Topics, rows)
		return b.show(request)
	}
}

var alterPartitionReassignmentsProbes = []probe{
	{"where-it-is", reassigning(twoPartitions, 0, []int32{0})},
	{"cancel", reassigning(twoPartitions, 0, nil)},
	{"stranger", reassigning(twoPartitions, 0, []int32{8})},
	{"one-more", reassigning(twoPartitions, 0, []int32{0, 8})},
	{"double", reassigning(twoPartitions, 0, []int32{0, 0})},
	{"empty", reassigning(twoPartitions, 0, []int32{})},
	{"absent", reassigning("probe.absent", 0, []int32{0})},
	{"absent-cancel", reassigning("probe.absent", 0, nil)},
	{"absent-partition", reassigning(twoPartitions, 7, []int32{0})},
	{"negative-partition", reassigning(twoPartitions, -1, []int32{0})},
	{"nothing", func(b *broker, v int16) string {
		request := kmsg.NewPtrAlterPartitionAssignmentsRequest()
		request.Version = v
		return b.show(request)
	}},
}

func listingReassignments(all bool, topics ...string) func(*broker, int16) string {
	return func(b *broker, v int16) string {
		b.shared(twoPartitions, 2)
		request := kmsg.NewPtrListPartitionReassignmentsRequest()
		request.Version = v
		if !all {
			request.Topics = []kmsg.ListPartitionReassignmentsRequestTopic{}
		}
		for _, topic := range topics {
			row := kmsg.NewListPartitionReassignmentsRequestTopic()
			row.Topic, row.Partitions = topic, []int32{0, 7}
			request.Topics = append(request.Topics, row)
		}
		return b.show(request)
	}
}

var listPartitionReassignmentsProbes = []probe{
	{"all", listingReassignments(true)},
	{"none", listingReassignments(false)},
	{"some", listingReassignments(false, twoPartitions)},
	{"absent", listingReassignments(false, "probe.absent", "..")},
}

// quorum asks for the quorum of a topic; offsets and times are each broker's own.
func quorum(topic string, partitions ...int32) func(*broker, int16) string {
	return func(b *broker, v int16) string {
		request := kmsg.NewPtrDescribeQuorumRequest()
		request.Version = v
		row := kmsg.NewDescribeQuorumRequestTopic()
		row.Topic = topic
		for _, partition := range partitions {
			row.Partitions = append(row.Partitions, kmsg.DescribeQuorumRequestTopicPartition{Partition: partition})
		}
		request.Topics = append(request.Topics, row)
		answer := b.mustAsk(request).(*kmsg.DescribeQuorumResponse)
		text := errorName(answer.ErrorCode)
		for _, topic := range answer.Topics {
			for _, p := range topic.Partitions {
				text += fmt.Sprintf(" %s-%d %s", topic.Topic, p.Partition, errorName(p.ErrorCode))
				if p.ErrorCode == 0 {
					text += fmt.Sprintf(" leader=%s voters=%v observers=%v", b.nodeWord(p.LeaderID), b.voters(p.CurrentVoters), b.voters(p.Observers))
				}
			}
		}
		for _, node := range answer.Nodes {
			text += fmt.Sprintf(" node=%s listeners=%d", b.nodeWord(node.NodeID), len(node.Listeners))
		}
		return text
	}
}

func (b *broker) voters(replicas []kmsg.DescribeQuorumResponseTopicPartitionReplicaState) []string {
	words := []string{}
	for _, replica := range replicas {
		words = append(words, b.nodeWord(replica.ReplicaID))
	}
	return words
}

var describeQuorumProbes = []probe{
	{"metadata", quorum("__cluster_metadata", 0)},
	{"absent", quorum("probe.absent", 0)},
	{"absent-partition", quorum("__cluster_metadata", 7)},
	{"two", quorum("__cluster_metadata", 0, 1)},
	{"no-partition", quorum("__cluster_metadata")},
}

func updating(validate bool, features ...string) func(*broker, int16) string {
	return func(b *broker, v int16) string {
		if v < 1 && validate {
			return skipped
		}
		request := kmsg.NewPtrUpdateFeaturesRequest()
		request.Version, request.ValidateOnly = v, validate
		for _, feature := range features {
			row := kmsg.NewUpdateFeaturesRequestFeatureUpdate()
			row.Feature, row.MaxVersionLevel = feature, 1
			request.FeatureUpdates = append(request.FeatureUpdates, row)
		}
		return b.show(request)
	}
}

var updateFeaturesProbes = []probe{
	{"unknown", updating(false, "no.such.feature")},
	{"unknown-validate", updating(true, "no.such.feature")},
	{"unknown-two", updating(false, "no.such.feature", "nor.this.one")},
	{"nameless", updating(false, "")},
	{"none", updating(false)},
}
