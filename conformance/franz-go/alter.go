package main

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

// settled waits until the broker shows the value of a topic's key: on Kafka that is a moment after the answer.
func (h *here) settled(topic, key, value string) {
	for {
		if shown := h.shownConfig(topic, key); shown.MaybeValue() == value {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (h *here) shownConfig(topic, key string) kadm.Config {
	all, err := h.admin.DescribeTopicConfigs(h.context, topic)
	must(err)
	for _, config := range all[0].Configs {
		if config.Key == key {
			return config
		}
	}
	return kadm.Config{}
}

func (h *here) showConfig(topic, key string) {
	config := h.shownConfig(topic, key)
	say("%s -> %s %s", key, config.MaybeValue(), config.Source)
}

func (h *here) alterTopic(topic string, op kadm.IncrementalOp, key, value string) string {
	answers, err := h.admin.AlterTopicConfigs(h.context, []kadm.AlterConfig{{Op: op, Name: key, Value: text(value)}}, topic)
	must(err)
	return outcome(answers[0].Err)
}

func alter(h *here) {
	h.create("alter.a", 1, map[string]*string{"segment.ms": text("5000")})
	say("set -> %s", h.alterTopic("alter.a", kadm.SetConfig, "max.message.bytes", "2222"))
	h.settled("alter.a", "max.message.bytes", "2222")
	h.showConfig("alter.a", "max.message.bytes")
	say("delete -> %s", h.alterTopic("alter.a", kadm.DeleteConfig, "segment.ms", ""))
	h.settled("alter.a", "segment.ms", "604800000")
	h.showConfig("alter.a", "segment.ms")
	say("append to a number -> %s", h.alterTopic("alter.a", kadm.AppendConfig, "segment.ms", "1"))
	say("unknown key -> %s", h.alterTopic("alter.a", kadm.SetConfig, "no.such.key", "1"))
	say("unknown topic -> %s", h.alterTopic("alter.absent", kadm.SetConfig, "segment.ms", "1"))
	whole, err := h.admin.AlterTopicConfigsState(h.context, []kadm.AlterConfig{{Name: "index.interval.bytes", Value: text("8192")}}, "alter.a")
	must(err)
	say("replace -> %s", outcome(whole[0].Err))
	h.settled("alter.a", "index.interval.bytes", "8192")
	h.showConfig("alter.a", "max.message.bytes")
	every, err := h.admin.AlterBrokerConfigs(h.context, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "message.max.bytes", Value: text("3333")}})
	must(err)
	say("every broker -> %s", outcome(every[0].Err))
	h.settled("alter.a", "max.message.bytes", "3333")
	h.showConfig("alter.a", "max.message.bytes")
	every, err = h.admin.AlterBrokerConfigs(h.context, []kadm.AlterConfig{{Op: kadm.DeleteConfig, Name: "message.max.bytes"}})
	must(err)
	say("every broker back -> %s", outcome(every[0].Err))
	h.settled("alter.a", "max.message.bytes", "1048588")
}

func node(h *here) {
	h.create("node.a", 2, nil)
	var set kadm.TopicsSet
	set.Add("node.a", 0, 1)
	dirs, err := h.admin.DescribeAllLogDirs(h.context, set)
	must(err)
	for _, broker := range dirs {
		for _, dir := range broker {
			say("log directory -> %s absolute=%t partitions=%d", outcome(dir.Err), strings.HasPrefix(dir.Dir, "/"), len(dir.Topics["node.a"]))
		}
	}
	set.Add("node.a", 9)
	elected, err := h.admin.ElectLeaders(h.context, kadm.ElectPreferredReplica, set)
	must(err)
	for _, partition := range slices.Sorted(keysOf(elected["node.a"])) {
		say("elect %d -> %s", partition, outcome(elected["node.a"][partition].Err))
	}
	meta, err := h.admin.BrokerMetadata(h.context)
	must(err)
	var move kadm.AlterPartitionAssignmentsReq
	move.Assign("node.a", 0, []int32{meta.Controller})
	move.Assign("node.a", 1, []int32{4711})
	move.CancelAssign("node.a", 9)
	moved, err := h.admin.AlterPartitionAssignments(h.context, move)
	must(err)
	for _, partition := range slices.Sorted(keysOf(moved["node.a"])) {
		say("assign %s -> %s", strconv.Itoa(int(partition)), outcome(moved["node.a"][partition].Err))
	}
	moving, err := h.admin.ListPartitionReassignments(h.context, set)
	must(err)
	say("moving -> %d", len(moving))
}

func keysOf[V any](of map[int32]V) func(func(int32) bool) {
	return func(yield func(int32) bool) {
		for key := range of {
			if !yield(key) {
				return
			}
		}
	}
}
