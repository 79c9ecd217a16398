package main

import (
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func cluster(h *here) {
	meta, err := h.admin.BrokerMetadata(h.context)
	must(err)
	say("brokers -> %d", len(meta.Brokers))
	say("controller is a broker -> %t", meta.Brokers[0].NodeID == meta.Controller)
	say("cluster id length -> %d", len(meta.Cluster))
	versions, err := h.admin.ApiVersions(h.context)
	must(err)
	for _, key := range []int16{0, 1, 2, 3, 18, 19, 20, 22, 23, 32, 37, 60, 75} {
		for _, of := range versions {
			low, _ := of.KeyMinVersion(key)
			high, _ := of.KeyMaxVersion(key)
			say("%s -> %d to %d", kmsg.NameForKey(key), low, high)
		}
	}
}

func topics(h *here) {
	made, err := h.admin.CreateTopic(h.context, 3, 1, nil, "topics.a")
	must(err)
	say("create -> partitions=%d replication=%d id=%t", made.NumPartitions, made.ReplicationFactor, made.ID != kadm.TopicID{})
	h.await("topics.a", 3)
	for _, name := range []string{"topics.a", "", ".", "..", "a/b", "größe", strings.Repeat("l", 250), "topics_a"} {
		_, err := h.admin.CreateTopic(h.context, 1, 1, nil, name)
		say("create %.20q -> %s", name, outcome(err))
	}
	_, err = h.admin.CreateTopic(h.context, 0, 1, nil, "topics.zero")
	say("no partitions -> %s", outcome(err))
	_, err = h.admin.CreateTopic(h.context, 1, 2, nil, "topics.two")
	say("two replicas -> %s", outcome(err))
	_, err = h.admin.CreateTopic(h.context, 1, 1, map[string]*string{"no.such.key": text("1")}, "topics.key")
	say("unknown key -> %s", outcome(err))
	byDefault, err := h.admin.CreateTopic(h.context, -1, -1, nil, "topics.default")
	say("by defaults -> %s partitions=%d replication=%d", outcome(err), byDefault.NumPartitions, byDefault.ReplicationFactor)
	dry, err := h.admin.ValidateCreateTopics(h.context, 2, 1, nil, "topics.dry")
	must(err)
	say("validate -> %s", outcome(dry.Error()))
	listed, err := h.admin.ListTopics(h.context)
	must(err)
	names := slices.DeleteFunc(listed.Names(), func(name string) bool { return !strings.HasPrefix(name, "topics.") })
	say("list -> %v", names)
	unknown, err := h.admin.ListTopics(h.context, "topics.absent")
	must(err)
	say("unknown -> %s", outcome(unknown["topics.absent"].Err))
	deleteTopics(h)
}

func deleteTopics(h *here) {
	_, err := h.admin.DeleteTopic(h.context, "topics.a")
	say("delete -> %s", outcome(err))
	_, err = h.admin.DeleteTopic(h.context, "topics.absent")
	say("delete unknown -> %s", outcome(err))
	both, err := h.admin.DeleteTopics(h.context, "topics.default", "topics.absent")
	must(err)
	say("delete two -> %s %s", outcome(both["topics.default"].Err), outcome(both["topics.absent"].Err))
	for {
		listed, err := h.admin.ListTopics(h.context, "topics.a")
		must(err)
		if listed["topics.a"].Err != nil {
			break
		}
	}
	h.create("topics.a", 1, nil)
	ends, err := h.admin.ListEndOffsets(h.context, "topics.a")
	must(err)
	say("recreated -> partitions=%d end=%d", len(ends["topics.a"]), ends["topics.a"][0].Offset)
}

func partitions(h *here) {
	h.create("partitions.a", 2, nil)
	for _, count := range []int{4, 4, 1, 0} {
		grown, err := h.admin.UpdatePartitions(h.context, count, "partitions.a")
		must(err)
		say("to %d -> %s", count, outcome(grown.Error()))
	}
	h.await("partitions.a", 4)
	absent, err := h.admin.UpdatePartitions(h.context, 9, "partitions.absent")
	must(err)
	say("of absent -> %s", outcome(absent.Error()))
	added, err := h.admin.CreatePartitions(h.context, 2, "partitions.a")
	must(err)
	say("two more -> %s", outcome(added.Error()))
	h.await("partitions.a", 6)
}

var configKeys = []string{"cleanup.policy", "compression.type", "max.message.bytes", "message.timestamp.type",
	"retention.bytes", "segment.ms", "index.interval.bytes", "min.cleanable.dirty.ratio"}

func configs(h *here) {
	h.create("configs.a", 1, map[string]*string{"segment.ms": text("555000"), "index.interval.bytes": text("8192")})
	all, err := h.admin.DescribeTopicConfigs(h.context, "configs.a", "configs.absent", "..")
	must(err)
	slices.SortFunc(all, func(a, b kadm.ResourceConfig) int { return strings.Compare(a.Name, b.Name) })
	for _, resource := range all {
		say("%s -> %s", resource.Name, outcome(resource.Err))
		for _, key := range configKeys {
			for _, config := range resource.Configs {
				if config.Key != key {
					continue
				}
				say("%s -> %s %s sensitive=%t", config.Key, config.MaybeValue(), config.Source, config.Sensitive)
			}
		}
	}
}
