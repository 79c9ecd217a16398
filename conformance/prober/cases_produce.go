package main

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func produceRequest(version, acks int16, topic string, id [16]byte, partition int32, records []byte) *kmsg.ProduceRequest {
	request := kmsg.NewPtrProduceRequest()
	request.Version, request.Acks, request.TimeoutMillis = version, acks, 10_000
	row := kmsg.NewProduceRequestTopicPartition()
	row.Partition, row.Records = partition, records
	request.Topics = []kmsg.ProduceRequestTopic{{Topic: topic, TopicID: id,
		Partitions: []kmsg.ProduceRequestTopicPartition{row}}}
	return request
}

// produce is for the steps around a probe.
func (b *broker) produce(topic string, id [16]byte, t batch) {
	answer := b.mustAsk(produceRequest(9, -1, topic, id, 0, t.bytes())).(*kmsg.ProduceResponse)
	if code := answer.Topics[0].Partitions[0].ErrorCode; code != 0 {
		fatal(fmt.Errorf("produce to %s: %s", topic, errorName(code)))
	}
}

const producedTopic = "produce.shared"

// refused sends what must leave the log as it is, and shows the answer and the end of the log if it moved.
func refused(records func() []byte) func(*broker, int16) string {
	return refusedAs(records, func(*broker, *kmsg.ProduceRequest) {})
}

func refusedAs(records func() []byte, change func(*broker, *kmsg.ProduceRequest)) func(*broker, int16) string {
	return func(b *broker, v int16) string {
		id := b.shared(producedTopic, 1)
		before := b.end(producedTopic)
		request := produceRequest(v, -1, producedTopic, id, 0, records())
		change(b, request)
		text := b.show(request)
		if after := b.end(producedTopic); after != before {
			text += fmt.Sprintf(" and the log grew by %d", after-before)
		}
		return text
	}
}

func (b *broker) end(topic string) int64 {
	answer := b.mustAsk(listRequest(7, topic, 0, -1)).(*kmsg.ListOffsetsResponse)
	return answer.Topics[0].Partitions[0].Offset
}

// accepted sends batches one after the other to a fresh topic, then reads all of it back.
func accepted(configs map[string]string, acks int16, batches ...batch) func(*broker, int16) string {
	return func(b *broker, v int16) string {
		id := b.makeTopic(b.topic, 1, configs)
		text := ""
		for _, each := range batches {
			text += b.show(produceRequest(v, acks, b.topic, id, 0, each.bytes())) + " "
		}
		b.end(b.topic) // an answer to acks=1 may come before its records are visible; the end of the log waits
		return text + "log " + b.log(b.topic, id)
	}
}

// log reads a partition from its start, in the newest version, so that zstd is served too.
func (b *broker) log(topic string, id [16]byte) string {
	request := fetchRequest(13, topic, id, 0)
	answer := b.mustAsk(request).(*kmsg.FetchResponse)
	return b.batches(answer.Topics[0].Partitions[0].RecordBatches)
}

func with(t batch, change func(*batch)) batch {
	change(&t)
	return t
}

func codec(c kgo.CompressionCodecType) func(*batch) { return func(t *batch) { t.codec = c } }

func bad(change func(*batch)) func(*broker, int16) string {
	return refused(func() []byte { return with(plain("x", "y"), change).bytes() })
}

var produceProbes = []probe{
	{"acks-all", accepted(nil, -1, plain("one"), plain("two", "three"))},
	{"acks-one", accepted(nil, 1, plain("one"))},
	{"acks-none", acksNone},
	{"acks-none-refused", acksNoneRefused},
	{"acks-two", refusedAs(plain("x").bytes, func(_ *broker, r *kmsg.ProduceRequest) { r.Acks = 2 })},
	{"acks-minus-two", refusedAs(plain("x").bytes, func(_ *broker, r *kmsg.ProduceRequest) { r.Acks = -2 })},
	{"keyless", accepted(nil, -1, with(plain("one"), func(t *batch) { t.keyless = true }))},
	{"gzip", accepted(nil, -1, with(plain("one", "two"), codec(kgo.CodecGzip)))},
	{"snappy", accepted(nil, -1, with(plain("one", "two"), codec(kgo.CodecSnappy)))},
	{"lz4", accepted(nil, -1, with(plain("one", "two"), codec(kgo.CodecLz4)))},
	{"zstd", accepted(nil, -1, with(plain("one", "two"), codec(kgo.CodecZstd)))},
	{"base-offset-given", accepted(nil, -1, with(plain("one"), func(t *batch) { t.baseOffset = 77 }))},
	{"append-time", accepted(map[string]string{"message.timestamp.type": "LogAppendTime"}, -1, plain("one"))},
	{"topic-unknown", refusedAs(plain("x").bytes, func(_ *broker, r *kmsg.ProduceRequest) {
		r.Topics[0].Topic, r.Topics[0].TopicID = "probe.absent", strangerID
	})},
	{"topic-invalid", refusedAs(plain("x").bytes, func(_ *broker, r *kmsg.ProduceRequest) {
		r.Topics[0].Topic, r.Topics[0].TopicID = "..", [16]byte{}
	})},
	{"partition-99", refusedAs(plain("x").bytes, func(_ *broker, r *kmsg.ProduceRequest) { r.Topics[0].Partitions[0].Partition = 99 })},
	{"partition-negative", refusedAs(plain("x").bytes, func(_ *broker, r *kmsg.ProduceRequest) { r.Topics[0].Partitions[0].Partition = -1 })},
	{"partition-good-and-99", goodAndBad},
	{"no-topics", refusedAs(plain("x").bytes, func(_ *broker, r *kmsg.ProduceRequest) { r.Topics = r.Topics[:0] })},
	{"records-empty", refused(func() []byte { return []byte{} })},
	{"records-cut", refused(func() []byte { raw := plain("x").bytes(); return raw[:len(raw)-3] })},
	{"records-noise", refused(func() []byte {
		return []byte("this is no record batch at all, only a sentence that is long enough to be one")
	})},
	{"two-batches", refused(func() []byte { return append(plain("x").bytes(), plain("y").bytes()...) })},
	{"magic-1", bad(func(t *batch) { t.magic = 1 })},
	{"magic-3", bad(func(t *batch) { t.magic = 3 })},
	{"crc", bad(func(t *batch) { t.badCRC = true })},
	{"count-more", bad(func(t *batch) { t.countDelta = 1 })},
	{"count-less", bad(func(t *batch) { t.countDelta = -1 })},
	{"count-negative", bad(func(t *batch) { t.countDelta = -9 })},
	{"no-records", refused(plain().bytes)},
	{"last-delta-more", bad(func(t *batch) { t.lastDelta = 1 })},
	{"offsets-with-gaps", bad(func(t *batch) { t.offsetStep = 2 })},
	{"length-more", bad(func(t *batch) { t.lengthPlus = 5 })},
	{"control-batch", bad(func(t *batch) { t.attributes = 0x20 })},
	{"transactional-without-id", bad(func(t *batch) { t.attributes, t.pid, t.epoch, t.sequence = 0x10, 4711, 0, 0 })},
	{"time-in-future", bad(func(t *batch) { t.firstTime = time.Now().UnixMilli() + 7_200_000 })},
	{"time-minus-one", accepted(nil, -1, with(plain("one"), func(t *batch) { t.firstTime = -1 }))},
	{"too-large", tooLarge},
	{"idempotent", idempotent},
}

func acksNone(b *broker, v int16) string {
	id := b.makeTopic(b.topic, 1, nil)
	b.send(produceRequest(v, 0, b.topic, id, 0, plain("one").bytes()))
	// The next answer on the connection belongs to the next request: none came for the first.
	end := b.show(listRequest(4, b.topic, 0, -1))
	return end + " log " + b.log(b.topic, id)
}

func acksNoneRefused(b *broker, v int16) string {
	b.send(produceRequest(v, 0, "probe.absent", strangerID, 0, plain("one").bytes()))
	return b.show(apiVersionsRequest(0, ""))[:17]
}

func goodAndBad(b *broker, v int16) string {
	id := b.makeTopic(b.topic, 2, nil)
	request := produceRequest(v, -1, b.topic, id, 0, plain("one").bytes())
	for partition, records := range map[int32][]byte{1: with(plain("x"), func(t *batch) { t.badCRC = true }).bytes(), 99: plain("x").bytes()} {
		row := kmsg.NewProduceRequestTopicPartition()
		row.Partition, row.Records = partition, records
		request.Topics[0].Partitions = append(request.Topics[0].Partitions, row)
	}
	return b.show(request) + " log " + b.log(b.topic, id)
}

func tooLarge(b *broker, v int16) string {
	id := b.makeTopic(b.topic, 1, map[string]string{"max.message.bytes": "300"})
	small := b.show(produceRequest(v, -1, b.topic, id, 0, plain("fits").bytes()))
	large := plain(string(make([]byte, 400)))
	return small + " then " + b.show(produceRequest(v, -1, b.topic, id, 0, large.bytes()))
}

// idempotent walks one producer through good sequences, duplicates, gaps and old epochs.
func idempotent(b *broker, v int16) string {
	id := b.makeTopic(b.topic, 1, nil)
	pid := b.mustAsk(initRequest(4)).(*kmsg.InitProducerIDResponse).ProducerID
	send := func(epoch int16, sequence int32, values ...string) string {
		t := plain(values...)
		t.pid, t.epoch, t.sequence = pid, epoch, sequence
		answer, err := b.ask(produceRequest(v, -1, b.topic, id, 0, t.bytes()))
		if err != nil {
			return err.Error()
		}
		row := answer.(*kmsg.ProduceResponse).Topics[0].Partitions[0]
		return fmt.Sprintf(" %d/%d+%d:%s@%d", epoch, sequence, len(values), errorName(row.ErrorCode), row.BaseOffset)
	}
	text := "epoch/sequence+count:error@offset"
	text += send(0, 0, "a", "b") + send(0, 2, "c") + send(0, 2, "c") + send(0, 0, "a", "b")
	text += send(0, 7, "gap") + send(0, 3, "d") + send(0, 4, "e") + send(0, 5, "f") + send(0, 6, "g")
	text += send(0, 2, "c") + send(0, 0, "a", "b") + send(0, 6, "g", "h")
	text += send(1, 3, "not from zero") + send(1, 0, "h") + send(0, 7, "old epoch") + send(1, 1, "i")
	return text + " log " + b.log(b.topic, id)
}
