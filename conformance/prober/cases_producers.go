package main

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

func producersRequest(v int16, topic string, partitions ...int32) *kmsg.DescribeProducersRequest {
	request := kmsg.NewPtrDescribeProducersRequest()
	request.Version = v
	row := kmsg.NewDescribeProducersRequestTopic()
	row.Topic, row.Partitions = topic, partitions
	request.Topics = append(request.Topics, row)
	return request
}

// producersOf writes batches to a fresh topic and asks who wrote them.
func producersOf(batches ...batch) func(*broker, int16) string {
	return func(b *broker, v int16) string {
		id := b.makeTopic(b.topic, 2, nil)
		for _, each := range batches {
			b.produce(b.topic, id, each)
		}
		return b.show(producersRequest(v, b.topic, 0, 1))
	}
}

func writtenBy(pid int64, epoch int16, sequence int32, values ...string) batch {
	return with(plain(values...), func(t *batch) { t.pid, t.epoch, t.sequence = pid, epoch, sequence })
}

func askedOf(topic string, partitions ...int32) func(*broker, int16) string {
	return func(b *broker, v int16) string { return b.show(producersRequest(v, topic, partitions...)) }
}

var describeProducersProbes = []probe{
	{"nobody", producersOf(plain("one"))},
	{"one", producersOf(writtenBy(4711, 2, 5, "one", "two"))},
	{"two", producersOf(writtenBy(4711, 2, 0, "one", "two"), writtenBy(4712, 0, 0, "three"), writtenBy(4711, 2, 2, "four"))},
	{"new-epoch", producersOf(writtenBy(4711, 0, 0, "one", "two"), writtenBy(4711, 1, 0, "three"))},
	{"duplicate", producersOf(writtenBy(4711, 0, 0, "one", "two"), writtenBy(4711, 0, 0, "one", "two"))},
	{"absent", askedOf("probe.absent", 0)},
	{"absent-partition", askedOf("probe.first", 0, 7, -1)},
	{"invalid-name", askedOf("a/b", 0)},
	{"no-partitions", askedOf("probe.first")},
	{"no-topics", func(b *broker, v int16) string {
		request := producersRequest(v, "")
		request.Topics = nil
		return b.show(request)
	}},
}
