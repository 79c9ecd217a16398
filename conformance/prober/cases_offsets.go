package main

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func listRequest(version int16, topic string, partition int32, timestamp int64) *kmsg.ListOffsetsRequest {
	request := kmsg.NewPtrListOffsetsRequest()
	request.Version, request.ReplicaID, request.TimeoutMillis = version, -1, 5_000
	row := kmsg.NewListOffsetsRequestTopicPartition()
	row.Partition, row.Timestamp = partition, timestamp
	request.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: topic,
		Partitions: []kmsg.ListOffsetsRequestTopicPartition{row}}}
	return request
}

const timedTopic = "offsets.timed"

// timed has four records with times 0, 10, 500, 510 after baseTime in two batches, then an older
// compressed batch, so that the largest time is not in the last batch.
func (b *broker) timed() {
	for _, name := range b.ids {
		if name == timedTopic {
			return
		}
	}
	id := b.makeTopic(timedTopic, 2, nil)
	b.produce(timedTopic, id, plain("a", "b"))
	second := plain("c", "d")
	second.firstTime = baseTime + 500
	b.produce(timedTopic, id, second)
	third := plain("e", "f", "g")
	third.firstTime, third.codec = baseTime+100, kgo.CodecZstd
	b.produce(timedTopic, id, third)
}

func listing(partition int32, timestamp int64) func(*broker, int16) string {
	return func(b *broker, v int16) string {
		b.timed()
		return b.show(listRequest(v, timedTopic, partition, timestamp))
	}
}

func listingChanged(change func(b *broker, r *kmsg.ListOffsetsRequest)) func(*broker, int16) string {
	return func(b *broker, v int16) string {
		b.timed()
		request := listRequest(v, timedTopic, 0, -1)
		change(b, request)
		return b.show(request)
	}
}

var listOffsetsProbes = listOffsetsTable()

func listOffsetsTable() []probe {
	var table []probe
	for _, special := range []int64{-1, -2, -3, -4, -5, -6, -7, -100} {
		table = append(table, probe{fmt.Sprintf("special%d", special), listing(0, special)},
			probe{fmt.Sprintf("empty%d", special), listing(1, special)})
	}
	for _, after := range []int64{-1000, 0, 1, 10, 11, 100, 105, 500, 505, 510, 511, 100_000} {
		table = append(table, probe{fmt.Sprintf("time%+d", after), listing(0, baseTime+after)})
	}
	return append(table,
		probe{"time-zero", listing(0, 0)},
		probe{"time-of-empty", listing(1, baseTime)},
		probe{"partition-99", listing(99, -1)},
		probe{"partition-negative", listing(-1, -1)},
		probe{"topic-unknown", listingChanged(func(_ *broker, r *kmsg.ListOffsetsRequest) { r.Topics[0].Topic = "probe.absent" })},
		probe{"topic-invalid", listingChanged(func(_ *broker, r *kmsg.ListOffsetsRequest) { r.Topics[0].Topic = ".." })},
		probe{"committed", func(b *broker, v int16) string {
			if v < 2 {
				return skipped
			}
			return listingChanged(func(_ *broker, r *kmsg.ListOffsetsRequest) { r.IsolationLevel = 1 })(b, v)
		}},
		probe{"partition-twice", listingChanged(func(_ *broker, r *kmsg.ListOffsetsRequest) {
			r.Topics[0].Partitions = append(r.Topics[0].Partitions, r.Topics[0].Partitions[0])
		})},
		probe{"epoch-right", listingEpoch(0)},
		probe{"epoch-future", listingEpoch(5)},
		probe{"nothing", listingChanged(func(_ *broker, r *kmsg.ListOffsetsRequest) { r.Topics = r.Topics[:0] })},
	)
}

func listingEpoch(ahead int32) func(*broker, int16) string {
	return func(b *broker, v int16) string {
		if v < 4 {
			return skipped
		}
		return listingChanged(func(b *broker, r *kmsg.ListOffsetsRequest) {
			r.Topics[0].Partitions[0].CurrentLeaderEpoch = b.leaderEpoch + ahead
		})(b, v)
	}
}

func initRequest(version int16) *kmsg.InitProducerIDRequest {
	request := kmsg.NewPtrInitProducerIDRequest()
	request.Version, request.TransactionTimeoutMillis = version, 60_000
	return request
}

var initProducerIDProbes = []probe{
	{"fresh", func(b *broker, v int16) string { return b.show(initRequest(v)) }},
	{"never-twice", func(b *broker, v int16) string {
		first := b.mustAsk(initRequest(v)).(*kmsg.InitProducerIDResponse)
		second := b.mustAsk(initRequest(v)).(*kmsg.InitProducerIDResponse)
		return fmt.Sprintf("different ids %t", first.ProducerID != second.ProducerID)
	}},
	{"timeout-zero", func(b *broker, v int16) string {
		request := initRequest(v)
		request.TransactionTimeoutMillis = 0
		return b.show(request)
	}},
	{"transactional-empty", func(b *broker, v int16) string {
		request := initRequest(v)
		request.TransactionalID = pointer("")
		return b.show(request)
	}},
	{"id-without-epoch", initGiven(7, -1)},
	{"epoch-without-id", initGiven(-1, 3)},
	{"id-and-epoch", initGiven(7, 3)},
}

func initGiven(id int64, epoch int16) func(*broker, int16) string {
	return func(b *broker, v int16) string {
		if v < 3 {
			return skipped
		}
		request := initRequest(v)
		request.ProducerID, request.ProducerEpoch = id, epoch
		return b.show(request)
	}
}

// epochAsked asks for the end of an epoch, relative to the current one, of the timed topic.
func epochAsked(topic string, partition, asked int32, current func(b *broker) int32) func(*broker, int16) string {
	return func(b *broker, v int16) string {
		b.timed()
		request := kmsg.NewPtrOffsetForLeaderEpochRequest()
		request.Version, request.ReplicaID = v, -1
		row := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
		row.Partition, row.LeaderEpoch, row.CurrentLeaderEpoch = partition, b.leaderEpoch+asked, current(b)
		request.Topics = []kmsg.OffsetForLeaderEpochRequestTopic{{Topic: topic,
			Partitions: []kmsg.OffsetForLeaderEpochRequestTopicPartition{row}}}
		return b.show(request)
	}
}

func anyEpoch(*broker) int32 { return -1 }

func ahead(by int32) func(*broker) int32 {
	return func(b *broker) int32 { return b.leaderEpoch + by }
}

var offsetForLeaderEpochProbes = []probe{
	{"current", epochAsked(timedTopic, 0, 0, anyEpoch)},
	{"current-of-empty", epochAsked(timedTopic, 1, 0, anyEpoch)},
	{"future", epochAsked(timedTopic, 0, 9, anyEpoch)},
	{"checked", epochAsked(timedTopic, 0, 0, ahead(0))},
	{"checked-future", epochAsked(timedTopic, 0, 0, ahead(4))},
	{"partition-99", epochAsked(timedTopic, 99, 0, anyEpoch)},
	{"topic-unknown", epochAsked("probe.absent", 0, 0, anyEpoch)},
	{"topic-invalid", epochAsked("..", 0, 0, anyEpoch)},
}
