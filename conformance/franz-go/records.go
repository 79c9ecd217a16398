package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

func record(topic string, partition int32, i int) *kgo.Record {
	return &kgo.Record{
		Topic: topic, Partition: partition, Key: fmt.Appendf(nil, "key-%d", i), Value: fmt.Appendf(nil, "value-%d", i),
		Timestamp: time.UnixMilli(baseTime + int64(i)*1000),
		Headers:   []kgo.RecordHeader{{Key: "n", Value: fmt.Appendf(nil, "%d", i)}, {Key: "null"}},
	}
}

func show(r *kgo.Record) string {
	var headers []string
	for _, header := range r.Headers {
		headers = append(headers, fmt.Sprintf("%s=%q", header.Key, header.Value))
	}
	return fmt.Sprintf("%s-%d@%d +%d %s=%s %s", r.Topic, r.Partition, r.Offset, r.Timestamp.UnixMilli()-baseTime,
		r.Key, r.Value, strings.Join(headers, " "))
}

// producer lets a record choose its partition. It has no delivery timeout: that counts from a record's own time.
func (h *here) producer(options ...kgo.Opt) *kgo.Client {
	return h.open(append([]kgo.Opt{kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0),
		kgo.UnknownTopicRetries(2)}, options...)...)
}

// read consumes count records from given offsets of partitions, in order of partition and offset.
func (h *here) read(from map[string]map[int32]kgo.Offset, count int, options ...kgo.Opt) []*kgo.Record {
	consumer := h.open(append(options, kgo.ConsumePartitions(from), kgo.FetchMaxWait(100*time.Millisecond))...)
	defer consumer.Close()
	return h.poll(consumer, count)
}

func (h *here) poll(consumer *kgo.Client, count int) []*kgo.Record {
	within, cancel := context.WithTimeout(h.context, 30*time.Second)
	defer cancel()
	var all []*kgo.Record
	for len(all) < count && within.Err() == nil {
		fetches := consumer.PollFetches(within)
		fetches.EachError(func(topic string, partition int32, err error) { say("%s-%d -> %s", topic, partition, outcome(err)) })
		all = append(all, fetches.Records()...)
	}
	slices.SortFunc(all, func(a, b *kgo.Record) int {
		if a.Topic != b.Topic {
			return strings.Compare(a.Topic, b.Topic)
		}
		if a.Partition != b.Partition {
			return int(a.Partition - b.Partition)
		}
		return int(a.Offset - b.Offset)
	})
	return all
}

func start(topic string, partitions ...int32) map[string]map[int32]kgo.Offset {
	from := map[int32]kgo.Offset{}
	for _, partition := range partitions {
		from[partition] = kgo.NewOffset().AtStart()
	}
	return map[string]map[int32]kgo.Offset{topic: from}
}

func produce(h *here) {
	h.create("produce.a", 3, nil)
	modes := []struct {
		name    string
		options []kgo.Opt
	}{
		{"idempotent", nil},
		{"all", []kgo.Opt{kgo.DisableIdempotentWrite(), kgo.RequiredAcks(kgo.AllISRAcks())}},
		{"leader", []kgo.Opt{kgo.DisableIdempotentWrite(), kgo.RequiredAcks(kgo.LeaderAck())}},
		{"none", []kgo.Opt{kgo.DisableIdempotentWrite(), kgo.RequiredAcks(kgo.NoAck())}},
	}
	for _, mode := range modes {
		client := h.producer(mode.options...)
		for i := range 6 {
			sent, err := client.ProduceSync(h.context, record("produce.a", int32(i%3), i)).First()
			offset := sent.Offset
			if mode.name == "none" {
				offset = -1
			}
			say("%s produce[%d] -> %s partition=%d offset=%d", mode.name, i, outcome(err), sent.Partition, offset)
		}
		client.Close()
	}
	for _, each := range h.read(start("produce.a", 0, 1, 2), 24) {
		say("read -> %s", show(each))
	}
}

func codecs(h *here) {
	choices := []struct {
		name  string
		codec kgo.CompressionCodec
	}{{"none", kgo.NoCompression()}, {"gzip", kgo.GzipCompression()}, {"snappy", kgo.SnappyCompression()},
		{"lz4", kgo.Lz4Compression()}, {"zstd", kgo.ZstdCompression()}}
	for _, choice := range choices {
		topic := "codecs." + choice.name
		h.create(topic, 1, nil)
		client := h.producer(kgo.ProducerBatchCompression(choice.codec))
		var records []*kgo.Record
		for i := range 30 {
			records = append(records, record(topic, 0, i))
		}
		must(client.ProduceSync(h.context, records...).FirstErr())
		client.Close()
		got := h.read(start(topic, 0), 30)
		say("%s -> %d records, %s, %s", choice.name, len(got), show(got[0]), show(got[29]))
	}
}

func produceErrors(h *here) {
	h.create("errors.small", 1, map[string]*string{"max.message.bytes": text("500")})
	client := h.producer(kgo.ProducerBatchCompression(kgo.NoCompression())) // the limit is for the bytes on the wire
	defer client.Close()
	try := func(name string, r *kgo.Record) {
		_, err := client.ProduceSync(h.context, r).First()
		say("%s -> %s", name, outcome(err))
	}
	try("too large", &kgo.Record{Topic: "errors.small", Key: []byte("k"), Value: make([]byte, 3000)})
	try("fits", &kgo.Record{Topic: "errors.small", Key: []byte("k"), Value: []byte("v")})
	try("unknown topic", &kgo.Record{Topic: "errors.absent", Value: []byte("v")})
	try("invalid topic", &kgo.Record{Topic: "a/b", Value: []byte("v")})
	try("in the future", &kgo.Record{Topic: "errors.small", Key: []byte("k"), Timestamp: time.Now().Add(3 * time.Hour)})
}

func autoCreate(h *here) {
	client := h.producer(kgo.AllowAutoTopicCreation(), kgo.UnknownTopicRetries(20))
	defer client.Close()
	sent, err := client.ProduceSync(h.context, &kgo.Record{Topic: "autocreate.made", Value: []byte("v")}).First()
	say("producer -> %s offset=%d", outcome(err), sent.Offset)
	consumer := h.open(kgo.ConsumePartitions(start("autocreate.absent", 0)))
	within, cancel := context.WithTimeout(h.context, 300*time.Millisecond)
	consumer.PollFetches(within)
	cancel()
	consumer.Close()
	listed, err := h.admin.ListTopics(h.context, "autocreate.made", "autocreate.absent")
	must(err)
	say("made -> %s %d partitions", outcome(listed["autocreate.made"].Err), len(listed["autocreate.made"].Partitions))
	say("not made -> %s", outcome(listed["autocreate.absent"].Err))
}

func offsets(h *here) {
	h.create("offsets.a", 2, nil)
	client := h.producer()
	for _, i := range []int{0, 1, 2, 5, 3, 4} {
		must(client.ProduceSync(h.context, record("offsets.a", 0, i)).FirstErr())
	}
	client.Close()
	starts, err := h.admin.ListStartOffsets(h.context, "offsets.a")
	must(err)
	ends, err := h.admin.ListEndOffsets(h.context, "offsets.a")
	must(err)
	committed, err := h.admin.ListCommittedOffsets(h.context, "offsets.a")
	must(err)
	greatest, err := h.admin.ListMaxTimestampOffsets(h.context, "offsets.a")
	must(err)
	for partition := range int32(2) {
		say("partition %d -> start=%d end=%d committed=%d of the largest time=%d", partition, starts["offsets.a"][partition].Offset,
			ends["offsets.a"][partition].Offset, committed["offsets.a"][partition].Offset, greatest["offsets.a"][partition].Offset)
	}
	for _, after := range []int64{-1, 0, 1, 2500, 5000, 5001} {
		found, err := h.admin.ListOffsetsAfterMilli(h.context, baseTime+after, "offsets.a")
		must(err)
		at := found["offsets.a"][0]
		say("at %+d -> offset=%d timestamp=%d", after, at.Offset, at.Timestamp)
	}
	absent, err := h.admin.ListEndOffsets(h.context, "offsets.absent")
	must(err)
	say("absent -> %s", outcome(absent.Error()))
	from := func(offset kgo.Offset) map[string]map[int32]kgo.Offset {
		return map[string]map[int32]kgo.Offset{"offsets.a": {0: offset}}
	}
	for _, at := range []int64{0, 3, 5} {
		say("from %d -> %s", at, show(h.read(from(kgo.NewOffset().At(at)), 1)[0]))
	}
	say("from a time -> %s", show(h.read(from(kgo.NewOffset().AfterMilli(baseTime+2500)), 1)[0]))
	say("two before the end -> %s", show(h.read(from(kgo.NewOffset().AtEnd().Relative(-2)), 1)[0]))
	say("from 100, reset to start -> %s", show(h.read(from(kgo.NewOffset().At(100)), 1, kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))[0]))
	say("read committed -> %s", show(h.read(from(kgo.NewOffset().AtStart()), 6, kgo.FetchIsolationLevel(kgo.ReadCommitted()))[5]))
}

// sessions keeps one consumer over twelve partitions, of which a few have news in each round.
func sessions(h *here) {
	from := map[string]map[int32]kgo.Offset{}
	var places []*kgo.Record
	for _, topic := range []string{"sessions.a", "sessions.b", "sessions.c"} {
		h.create(topic, 4, nil)
		from[topic] = start(topic, 0, 1, 2, 3)[topic]
		for partition := range int32(4) {
			places = append(places, &kgo.Record{Topic: topic, Partition: partition})
		}
	}
	consumer := h.open(kgo.ConsumePartitions(from), kgo.FetchMaxWait(100*time.Millisecond))
	defer consumer.Close()
	client := h.producer()
	defer client.Close()
	for round := range 8 {
		fed := []*kgo.Record{places[round], places[11-round]}
		switch round {
		case 4:
			fed = places
		case 5:
			consumer.RemoveConsumePartitions(map[string][]int32{"sessions.b": {0, 1}})
			fed = places[:2]
		case 6:
			consumer.AddConsumePartitions(start("sessions.b", 0, 1))
			fed = places[4:6]
		}
		count := len(fed)
		for _, place := range fed {
			must(client.ProduceSync(h.context, record(place.Topic, place.Partition, round)).FirstErr())
		}
		if round == 6 { // the partitions that came back are read from their start
			ends, err := h.admin.ListEndOffsets(h.context, "sessions.b")
			must(err)
			count = int(ends["sessions.b"][0].Offset + ends["sessions.b"][1].Offset)
		}
		var seen []string
		for _, each := range h.poll(consumer, count) {
			seen = append(seen, fmt.Sprintf("%s-%d@%d", each.Topic, each.Partition, each.Offset))
		}
		say("round %d -> %s", round, strings.Join(seen, " "))
	}
}

func epochs(h *here) {
	h.create("epochs.a", 1, nil)
	client := h.producer()
	for i := range 4 {
		must(client.ProduceSync(h.context, record("epochs.a", 0, i)).FirstErr())
	}
	client.Close()
	first := h.read(start("epochs.a", 0), 1)[0]
	say("a record has an epoch -> %t", first.LeaderEpoch >= 0)
	from := map[string]map[int32]kgo.Offset{"epochs.a": {0: kgo.NewOffset().At(2).WithEpoch(first.LeaderEpoch)}}
	say("validated start -> %s", show(h.read(from, 1)[0]))
	ends, err := h.admin.OffsetForLeaderEpoch(h.context, epochRequest("epochs.a", first.LeaderEpoch))
	must(err)
	at := ends["epochs.a"][0]
	say("end of the epoch -> %s %d same epoch=%t", outcome(at.Err), at.EndOffset, at.LeaderEpoch == first.LeaderEpoch)
	beyond, err := h.admin.OffsetForLeaderEpoch(h.context, epochRequest("epochs.a", first.LeaderEpoch+5))
	must(err)
	say("end of a future epoch -> %s %d %d", outcome(beyond["epochs.a"][0].Err), beyond["epochs.a"][0].EndOffset, beyond["epochs.a"][0].LeaderEpoch)
}

func epochRequest(topic string, epoch int32) kadm.OffsetForLeaderEpochRequest {
	request := kadm.OffsetForLeaderEpochRequest{}
	request.Add(topic, 0, epoch)
	return request
}
