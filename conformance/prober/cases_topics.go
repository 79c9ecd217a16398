package main

import (
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// creating runs CreateTopics for a fresh name, after the change.
func creating(partitions int32, change func(b *broker, r *kmsg.CreateTopicsRequest)) func(*broker, int16) string {
	return func(b *broker, v int16) string {
		request := createRequest(v, b.topic, partitions)
		change(b, request)
		return b.show(request)
	}
}

func row(r *kmsg.CreateTopicsRequest) *kmsg.CreateTopicsRequestTopic { return &r.Topics[0] }

func called(name string) func(*broker, int16) string {
	return creating(1, func(_ *broker, r *kmsg.CreateTopicsRequest) { row(r).Topic = name })
}

func configured(key string, value *string) func(*broker, int16) string {
	return creating(1, func(_ *broker, r *kmsg.CreateTopicsRequest) {
		row(r).Configs = []kmsg.CreateTopicsRequestTopicConfig{{Name: key, Value: value}}
	})
}

func assigned(assignment ...[]int32) func(*broker, int16) string {
	return creating(-1, func(b *broker, r *kmsg.CreateTopicsRequest) {
		row(r).ReplicationFactor = -1
		for partition, replicas := range assignment {
			nodes := make([]int32, len(replicas))
			for i, replica := range replicas {
				nodes[i] = b.node + replica // 0 is the node itself
			}
			row(r).ReplicaAssignment = append(row(r).ReplicaAssignment,
				kmsg.CreateTopicsRequestTopicReplicaAssignment{Partition: int32(partition), Replicas: nodes})
		}
	})
}

var createTopicsProbes = []probe{
	{"good", func(b *broker, v int16) string {
		text := b.show(createRequest(v, b.topic, 3))
		b.awaitTopic(b.topic, 3)
		return text + " then " + b.show(metadataRequest(1, b.topic))
	}},
	{"exists", called("probe.first")},
	{"exists-validate", creating(1, func(_ *broker, r *kmsg.CreateTopicsRequest) {
		row(r).Topic, r.ValidateOnly = "probe.first", true
	})},
	{"validate-only", func(b *broker, v int16) string {
		request := createRequest(v, b.topic, 2)
		request.ValidateOnly = true
		return b.show(request) + " then " + b.show(metadataRequest(9, b.topic))
	}},
	{"name-empty", called("")},
	{"name-dot", called(".")},
	{"name-dots", called("..")},
	{"name-slash", called("a/b")},
	{"name-space", called("a b")},
	{"name-unicode", called("größe")},
	{"name-249", func(b *broker, v int16) string {
		name := fmt.Sprintf("%0249d", v)
		return strings.ReplaceAll(called(name)(b, v), name, "LONG")
	}},
	{"name-250", called(strings.Repeat("n", 250))},
	{"name-collides", func(b *broker, v int16) string {
		b.shared("collide.a_b", 1)
		return called("collide_a.b")(b, v)
	}},
	{"partitions-zero", creating(0, unchanged)},
	{"partitions-minus-two", creating(-2, unchanged)},
	{"partitions-default", creating(-1, unchanged)},
	{"replicas-two", creating(1, func(_ *broker, r *kmsg.CreateTopicsRequest) { row(r).ReplicationFactor = 2 })},
	{"replicas-zero", creating(1, func(_ *broker, r *kmsg.CreateTopicsRequest) { row(r).ReplicationFactor = 0 })},
	{"replicas-minus-two", creating(1, func(_ *broker, r *kmsg.CreateTopicsRequest) { row(r).ReplicationFactor = -2 })},
	{"replicas-default", creating(1, func(_ *broker, r *kmsg.CreateTopicsRequest) { row(r).ReplicationFactor = -1 })},
	{"config-good", configured("segment.ms", pointer("123456"))},
	{"config-unknown", configured("no.such.key", pointer("1"))},
	{"config-not-a-number", configured("retention.ms", pointer("soon"))},
	{"config-out-of-range", configured("segment.bytes", pointer("-5"))},
	{"config-not-a-choice", configured("cleanup.policy", pointer("burn"))},
	{"config-null", configured("retention.ms", nil)},
	{"twice-in-one", creating(1, func(_ *broker, r *kmsg.CreateTopicsRequest) { r.Topics = append(r.Topics, *row(r)) })},
	{"good-and-bad", creating(1, func(_ *broker, r *kmsg.CreateTopicsRequest) {
		bad := *row(r)
		bad.Topic = "a/b"
		r.Topics = append(r.Topics, bad)
	})},
	{"assigned", assigned([]int32{0}, []int32{0})},
	{"assigned-stranger", assigned([]int32{8})},
	{"assigned-double", assigned([]int32{0, 0})},
	{"assigned-empty", assigned([]int32{})},
	{"assigned-and-count", creating(2, func(b *broker, r *kmsg.CreateTopicsRequest) {
		row(r).ReplicaAssignment = []kmsg.CreateTopicsRequestTopicReplicaAssignment{{Replicas: []int32{b.node}}}
	})},
	{"assigned-gap", creating(-1, func(b *broker, r *kmsg.CreateTopicsRequest) {
		row(r).ReplicationFactor = -1
		row(r).ReplicaAssignment = []kmsg.CreateTopicsRequestTopicReplicaAssignment{
			{Partition: 0, Replicas: []int32{b.node}}, {Partition: 2, Replicas: []int32{b.node}}}
	})},
	{"no-topics", creating(1, func(_ *broker, r *kmsg.CreateTopicsRequest) { r.Topics = r.Topics[:0] })},
}

func unchanged(*broker, *kmsg.CreateTopicsRequest) {}

// deleting asks for names; from version 6 on in rows that could hold ids as well.
func deleting(version int16, names ...string) *kmsg.DeleteTopicsRequest {
	request := kmsg.NewPtrDeleteTopicsRequest()
	request.Version, request.TimeoutMillis = version, 10_000
	request.TopicNames = names
	for _, name := range names {
		request.Topics = append(request.Topics, kmsg.DeleteTopicsRequestTopic{Topic: pointer(name)})
	}
	return request
}

func deletingRows(rows func(b *broker) []kmsg.DeleteTopicsRequestTopic) func(*broker, int16) string {
	return func(b *broker, v int16) string {
		if v < 6 {
			return skipped
		}
		request := deleting(v)
		request.Topics = rows(b)
		return b.show(request)
	}
}

var deleteTopicsProbes = []probe{
	{"good", func(b *broker, v int16) string {
		b.makeTopic(b.topic, 2, nil)
		text := b.show(deleting(v, b.topic))
		b.awaitGone(b.topic)
		return text
	}},
	{"recreated", func(b *broker, v int16) string {
		old := b.makeTopic(b.topic, 1, nil)
		b.mustAsk(produceRequest(7, -1, b.topic, old, 0, plain("old").bytes()))
		b.mustAsk(deleting(v, b.topic))
		b.awaitGone(b.topic)
		delete(b.ids, old)
		fresh := b.makeTopic(b.topic, 1, nil)
		return fmt.Sprintf("new id %t, end %s", fresh != old, b.show(listRequest(7, b.topic, 0, -1)))
	}},
	{"unknown", func(b *broker, v int16) string { return b.show(deleting(v, "probe.absent")) }},
	{"invalid", func(b *broker, v int16) string { return b.show(deleting(v, "..")) }},
	{"none", func(b *broker, v int16) string { return b.show(deleting(v)) }},
	{"twice-in-one", func(b *broker, v int16) string {
		b.makeTopic(b.topic, 1, nil)
		return b.show(deleting(v, b.topic, b.topic))
	}},
	{"good-and-unknown", func(b *broker, v int16) string {
		b.makeTopic(b.topic, 1, nil)
		return b.show(deleting(v, b.topic, "probe.absent"))
	}},
	{"by-id", deletingRows(func(b *broker) []kmsg.DeleteTopicsRequestTopic {
		return []kmsg.DeleteTopicsRequestTopic{{TopicID: b.makeTopic(b.topic, 1, nil)}}
	})},
	{"by-unknown-id", deletingRows(func(*broker) []kmsg.DeleteTopicsRequestTopic {
		return []kmsg.DeleteTopicsRequestTopic{{TopicID: strangerID}}
	})},
	{"by-nothing", deletingRows(func(*broker) []kmsg.DeleteTopicsRequestTopic {
		return []kmsg.DeleteTopicsRequestTopic{{}}
	})},
	{"by-both", deletingRows(func(b *broker) []kmsg.DeleteTopicsRequestTopic {
		id := b.makeTopic(b.topic, 1, nil)
		return []kmsg.DeleteTopicsRequestTopic{{TopicID: id, Topic: pointer(b.topic)}}
	})},
	{"by-name-and-by-id", deletingRows(func(b *broker) []kmsg.DeleteTopicsRequestTopic {
		id := b.makeTopic(b.topic, 1, nil)
		return []kmsg.DeleteTopicsRequestTopic{{TopicID: id}, {Topic: pointer(b.topic)}}
	})},
}

// growing asks for a count of partitions of a fresh topic that has three.
func growing(count int32, change func(b *broker, r *kmsg.CreatePartitionsRequest)) func(*broker, int16) string {
	return func(b *broker, v int16) string {
		b.makeTopic(b.topic, 3, nil)
		request := kmsg.NewPtrCreatePartitionsRequest()
		request.Version, request.TimeoutMillis = v, 10_000
		request.Topics = []kmsg.CreatePartitionsRequestTopic{{Topic: b.topic, Count: count}}
		change(b, request)
		return b.show(request)
	}
}

func growingAssigned(count int32, replicas ...[]int32) func(*broker, int16) string {
	return growing(count, func(b *broker, r *kmsg.CreatePartitionsRequest) {
		for _, list := range replicas {
			nodes := make([]int32, len(list))
			for i, replica := range list {
				nodes[i] = b.node + replica
			}
			r.Topics[0].Assignment = append(r.Topics[0].Assignment,
				kmsg.CreatePartitionsRequestTopicAssignment{Replicas: nodes})
		}
	})
}

func sameRequest(*broker, *kmsg.CreatePartitionsRequest) {}

var createPartitionsProbes = []probe{
	{"grow", func(b *broker, v int16) string {
		text := growing(5, sameRequest)(b, v)
		b.awaitTopic(b.topic, 5)
		return text
	}},
	{"same", growing(3, sameRequest)},
	{"shrink", growing(1, sameRequest)},
	{"zero", growing(0, sameRequest)},
	{"negative", growing(-1, sameRequest)},
	{"unknown", growing(5, func(_ *broker, r *kmsg.CreatePartitionsRequest) { r.Topics[0].Topic = "probe.absent" })},
	{"invalid", growing(5, func(_ *broker, r *kmsg.CreatePartitionsRequest) { r.Topics[0].Topic = ".." })},
	{"validate-only", func(b *broker, v int16) string {
		text := growing(5, func(_ *broker, r *kmsg.CreatePartitionsRequest) { r.ValidateOnly = true })(b, v)
		return text + " then " + b.show(metadataRequest(1, b.topic))
	}},
	{"validate-shrink", growing(2, func(_ *broker, r *kmsg.CreatePartitionsRequest) { r.ValidateOnly = true })},
	{"twice-in-one", growing(5, func(_ *broker, r *kmsg.CreatePartitionsRequest) { r.Topics = append(r.Topics, r.Topics[0]) })},
	{"assigned", growingAssigned(5, []int32{0}, []int32{0})},
	{"assigned-too-few", growingAssigned(5, []int32{0})},
	{"assigned-too-many", growingAssigned(4, []int32{0}, []int32{0})},
	{"assigned-stranger", growingAssigned(4, []int32{8})},
	{"assigned-double", growingAssigned(4, []int32{0, 0})},
	{"assigned-empty", growingAssigned(4, []int32{})},
	{"no-topics", growing(5, func(_ *broker, r *kmsg.CreatePartitionsRequest) { r.Topics = r.Topics[:0] })},
}

// brokerConfigs are the broker keys that are asked for by name.
var brokerConfigs = map[string]bool{
	"auto.create.topics.enable": true, "delete.topic.enable": true, "log.segment.bytes": true,
	"message.max.bytes": true, "num.partitions": true, "default.replication.factor": true,
	"log.retention.ms": true, "log.index.interval.bytes": true,
}

func configsOf(kind kmsg.ConfigResourceType, name func(b *broker) string, keys ...string) func(*broker, int16) string {
	return func(b *broker, v int16) string {
		return b.show(configsRequest(v, kind, name(b), keys))
	}
}

func configsRequest(v int16, kind kmsg.ConfigResourceType, name string, keys []string) *kmsg.DescribeConfigsRequest {
	request := kmsg.NewPtrDescribeConfigsRequest()
	request.Version = v
	resource := kmsg.NewDescribeConfigsRequestResource()
	resource.ResourceType, resource.ResourceName, resource.ConfigNames = kind, name, keys
	request.Resources = append(request.Resources, resource)
	return request
}

func ofTopic(b *broker) string {
	b.makeTopic(b.topic, 1, map[string]string{"segment.ms": "123456", "index.interval.bytes": "8192"})
	return b.topic
}

func literally(text string) func(*broker) string { return func(*broker) string { return text } }

func ofNode(b *broker) string { return fmt.Sprint(b.node) }

var describeConfigsProbes = []probe{
	{"topic-all", configsOf(kmsg.ConfigResourceTypeTopic, literally("probe.first"))},
	{"topic-empty-list", func(b *broker, v int16) string {
		return b.show(configsRequest(v, kmsg.ConfigResourceTypeTopic, "probe.first", []string{}))
	}},
	{"topic-changed", configsOf(kmsg.ConfigResourceTypeTopic, ofTopic, "segment.ms", "index.interval.bytes", "max.message.bytes")},
	{"topic-unknown-key", configsOf(kmsg.ConfigResourceTypeTopic, literally("probe.first"), "no.such.key", "segment.ms")},
	{"topic-synonyms", func(b *broker, v int16) string {
		keys := []string{"index.interval.bytes", "cleanup.policy", "segment.bytes", "max.message.bytes", "compression.type"}
		request := configsRequest(v, kmsg.ConfigResourceTypeTopic, ofTopic(b), keys)
		request.IncludeSynonyms = true
		return b.show(request)
	}},
	{"topic-absent", configsOf(kmsg.ConfigResourceTypeTopic, literally("probe.absent"))},
	{"topic-invalid", configsOf(kmsg.ConfigResourceTypeTopic, literally(".."))},
	{"topic-nameless", configsOf(kmsg.ConfigResourceTypeTopic, literally(""))},
	{"topic-twice", func(b *broker, v int16) string {
		request := configsRequest(v, kmsg.ConfigResourceTypeTopic, "probe.first", []string{"segment.ms"})
		request.Resources = append(request.Resources, request.Resources[0])
		return b.show(request)
	}},
	{"broker", func(b *broker, v int16) string {
		request := configsRequest(v, kmsg.ConfigResourceTypeBroker, ofNode(b),
			[]string{"auto.create.topics.enable", "delete.topic.enable", "num.partitions"})
		answer := b.mustAsk(request).(*kmsg.DescribeConfigsResponse)
		if answer.Resources[0].ResourceName == ofNode(b) {
			answer.Resources[0].ResourceName = "NODE"
		}
		return b.render(answer)
	}},
	{"broker-wrong", configsOf(kmsg.ConfigResourceTypeBroker, literally("4711"))},
	{"broker-not-a-number", configsOf(kmsg.ConfigResourceTypeBroker, literally("first"))},
	{"broker-default", configsOf(kmsg.ConfigResourceTypeBroker, literally(""), "num.partitions")},
	{"kind-99", configsOf(99, literally("x"))},
	{"nothing", func(b *broker, v int16) string {
		request := kmsg.NewPtrDescribeConfigsRequest()
		request.Version = v
		return b.show(request)
	}},
}
