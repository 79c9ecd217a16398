package main

import (
	"encoding/binary"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func apiVersionsRequest(version int16, software string) *kmsg.ApiVersionsRequest {
	request := kmsg.NewPtrApiVersionsRequest()
	request.Version = version
	request.ClientSoftwareName, request.ClientSoftwareVersion = software, "1.0"
	return request
}

var apiVersionsProbes = []probe{
	{"list", func(b *broker, v int16) string { return b.show(apiVersionsRequest(v, "prober")) }},
	{"software-empty", func(b *broker, v int16) string {
		if v < 3 {
			return skipped
		}
		return b.show(apiVersionsRequest(v, ""))
	}},
	{"software-invalid", func(b *broker, v int16) string {
		if v < 3 {
			return skipped
		}
		return b.show(apiVersionsRequest(v, "no spaces!"))
	}},
	{"address-right", addressed(func(b *broker, r *kmsg.ApiVersionsRequest) {
		r.ClusterID, r.NodeID = pointer(b.clusterID), b.node
	})},
	{"address-wrong-cluster", addressed(func(b *broker, r *kmsg.ApiVersionsRequest) {
		r.ClusterID, r.NodeID = pointer("AAAAAAAAAAAAAAAAAAAAAA"), b.node
	})},
	{"address-wrong-node", addressed(func(b *broker, r *kmsg.ApiVersionsRequest) {
		r.ClusterID, r.NodeID = pointer(b.clusterID), b.node+7
	})},
	{"address-only-cluster", addressed(func(b *broker, r *kmsg.ApiVersionsRequest) {
		r.ClusterID = pointer(b.clusterID)
	})},
	{"address-only-node", addressed(func(b *broker, r *kmsg.ApiVersionsRequest) { r.NodeID = b.node })},
	{"version-99", func(b *broker, v int16) string { return unknownApiVersions(b, v, 99) }},
	{"version-6", func(b *broker, v int16) string { return unknownApiVersions(b, v, 6) }},
}

func addressed(change func(*broker, *kmsg.ApiVersionsRequest)) func(*broker, int16) string {
	return func(b *broker, v int16) string {
		if v < 5 {
			return skipped
		}
		request := apiVersionsRequest(v, "prober")
		change(b, request)
		return b.show(request)
	}
}

// unknownApiVersions asks in a version from the future; the answer has the body of version 0.
func unknownApiVersions(b *broker, v, version int16) string {
	if v > 0 {
		return skipped
	}
	request := apiVersionsRequest(5, "prober")
	b.correlation++
	frame := kmsg.NewRequestFormatter(kmsg.FormatterClientID("prober")).AppendRequest(nil, request, b.correlation)
	binary.BigEndian.PutUint16(frame[6:], uint16(version))
	b.sendBytes(frame)
	body, err := b.receiveBody(false)
	if err != nil {
		return err.Error()
	}
	answer := kmsg.NewPtrApiVersionsResponse()
	if err := answer.ReadFrom(body); err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%d bytes %s", len(body), b.render(answer))
}

func named(make func(b *broker) []string, change func(*kmsg.MetadataRequest)) func(*broker, int16) string {
	return func(b *broker, v int16) string {
		request := metadataRequest(v, make(b)...)
		request.AllowAutoTopicCreation = v < 4
		change(request)
		return b.show(request)
	}
}

func asIs(*kmsg.MetadataRequest) {}

func fixed(topics ...string) func(*broker) []string {
	return func(*broker) []string { return topics }
}

var metadataProbes = []probe{
	{"all", named(fixed(), func(r *kmsg.MetadataRequest) {
		if r.Version == 0 {
			r.Topics = []kmsg.MetadataRequestTopic{}
		}
	})},
	{"none", func(b *broker, v int16) string {
		if v < 1 {
			return skipped
		}
		request := metadataRequest(v)
		request.Topics = []kmsg.MetadataRequestTopic{}
		return b.show(request)
	}},
	{"one", named(fixed("probe.first"), asIs)},
	{"twice", named(fixed("probe.first", "probe.first"), asIs)},
	{"unknown", func(b *broker, v int16) string {
		if v < 4 { // versions 0 to 3 create it: see auto-create
			return skipped
		}
		return named(fixed("probe.absent"), asIs)(b, v)
	}},
	{"invalid-dots", named(fixed(".."), asIs)},
	{"invalid-empty", named(fixed(""), asIs)},
	{"invalid-slash", named(fixed("a/b"), asIs)},
	{"invalid-creating", named(fixed("a b"), func(r *kmsg.MetadataRequest) { r.AllowAutoTopicCreation = true })},
	{"auto-create", autoCreate},
	{"operations-topic", named(fixed("probe.first"), func(r *kmsg.MetadataRequest) {
		r.IncludeTopicAuthorizedOperations = true
	})},
	{"operations-cluster", named(fixed("probe.first"), func(r *kmsg.MetadataRequest) {
		r.IncludeClusterAuthorizedOperations = true
	})},
	{"by-id", byID(func(b *broker) [16]byte { return b.shared("probe.first", 2) })},
	{"by-unknown-id", byID(func(*broker) [16]byte { return strangerID })},
	{"by-id-and-name", func(b *broker, v int16) string {
		if v < 12 {
			return skipped
		}
		request := metadataRequest(v, "probe.first")
		request.Topics[0].TopicID = b.shared("probe.first", 2)
		return b.show(request)
	}},
}

func byID(id func(*broker) [16]byte) func(*broker, int16) string {
	return func(b *broker, v int16) string {
		if v < 12 {
			return skipped
		}
		request := metadataRequest(v)
		request.Topics = []kmsg.MetadataRequestTopic{{TopicID: id(b)}}
		return b.show(request)
	}
}

// autoCreate shows the first answer to a name that is then created, and that it comes to be.
func autoCreate(b *broker, v int16) string {
	request := metadataRequest(v, b.topic)
	request.AllowAutoTopicCreation = true
	first := b.show(request)
	b.awaitTopic(b.topic, 1)
	return first + " then " + b.show(metadataRequest(v, b.topic))
}

var describeClusterProbes = []probe{
	{"plain", clusterAsk(0, func(*kmsg.DescribeClusterRequest) {})},
	{"operations", clusterAsk(0, func(r *kmsg.DescribeClusterRequest) { r.IncludeClusterAuthorizedOperations = true })},
	{"controllers", clusterAsk(1, func(r *kmsg.DescribeClusterRequest) { r.EndpointType = 2 })},
	{"endpoint-9", clusterAsk(1, func(r *kmsg.DescribeClusterRequest) { r.EndpointType = 9 })},
	{"fenced", clusterAsk(2, func(r *kmsg.DescribeClusterRequest) { r.IncludeFencedBrokers = true })},
}

func clusterAsk(from int16, change func(*kmsg.DescribeClusterRequest)) func(*broker, int16) string {
	return func(b *broker, v int16) string {
		if v < from {
			return skipped
		}
		request := kmsg.NewPtrDescribeClusterRequest()
		request.Version = v
		change(request)
		return b.show(request)
	}
}

var describeTopicPartitionsProbes = []probe{
	{"one", topicPartitions(2000, nil, "describe.a")},
	{"several", topicPartitions(2000, nil, "describe.c", "describe.a", "describe.b")},
	{"unknown", topicPartitions(2000, nil, "describe.a", "probe.absent")},
	{"invalid", topicPartitions(2000, nil, "..")},
	{"limited", topicPartitions(4, nil, "describe.a", "describe.b", "describe.c")},
	{"limit-zero", topicPartitions(0, nil, "describe.a")},
	{"limit-negative", topicPartitions(-5, nil, "describe.a")},
	{"cursor", topicPartitions(4, &kmsg.DescribeTopicPartitionsRequestCursor{Topic: "describe.b", Partition: 1},
		"describe.a", "describe.b", "describe.c")},
	{"cursor-absent", topicPartitions(4, &kmsg.DescribeTopicPartitionsRequestCursor{Topic: "describe.bb"},
		"describe.a", "describe.b", "describe.c")},
	{"cursor-beyond", topicPartitions(4, &kmsg.DescribeTopicPartitionsRequestCursor{Topic: "describe.b", Partition: 77},
		"describe.a", "describe.b", "describe.c")},
	{"cursor-negative", topicPartitions(4, &kmsg.DescribeTopicPartitionsRequestCursor{Topic: "describe.b", Partition: -2},
		"describe.b")},
	{"all-from-cursor", topicPartitions(3, &kmsg.DescribeTopicPartitionsRequestCursor{Topic: "describe.a"})},
}

func topicPartitions(limit int32, cursor *kmsg.DescribeTopicPartitionsRequestCursor, topics ...string) func(*broker, int16) string {
	return func(b *broker, v int16) string {
		for _, topic := range []string{"describe.a", "describe.b", "describe.c"} {
			b.shared(topic, 3)
		}
		request := kmsg.NewPtrDescribeTopicPartitionsRequest()
		request.Version, request.ResponsePartitionLimit, request.Cursor = v, limit, cursor
		for _, topic := range topics {
			request.Topics = append(request.Topics, kmsg.DescribeTopicPartitionsRequestTopic{Topic: topic})
		}
		return b.show(request)
	}
}
