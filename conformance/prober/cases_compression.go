package main

import (
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

var codecs = []kgo.CompressionCodecType{kgo.CodecNone, kgo.CodecGzip, kgo.CodecSnappy, kgo.CodecLz4, kgo.CodecZstd}

// storedAs sends a batch under every codec to a topic with a compression.type, and reads all of it back.
func storedAs(configs map[string]string) func(*broker, int16) string {
	var batches []batch
	for _, each := range codecs {
		batches = append(batches, with(plain("one", "two"), codec(each)))
	}
	return accepted(configs, -1, batches...)
}

func compression(name string, more ...string) map[string]string {
	configs := map[string]string{"compression.type": name}
	for i := 0; i < len(more); i += 2 {
		configs[more[i]] = more[i+1]
	}
	return configs
}

var compressionProbes = []probe{
	{"compression-producer", storedAs(compression("producer"))},
	{"compression-uncompressed", storedAs(compression("uncompressed"))},
	{"compression-gzip", storedAs(compression("gzip", "compression.gzip.level", "9"))},
	{"compression-snappy", storedAs(compression("snappy"))},
	{"compression-lz4", storedAs(compression("lz4", "compression.lz4.level", "17"))},
	{"compression-zstd", storedAs(compression("zstd", "compression.zstd.level", "-5"))},
	{"compression-append-time", storedAs(compression("gzip", "message.timestamp.type", "LogAppendTime"))},
	{"compression-idempotent", recodedTwice},
	{"compression-max-timestamp", recodedTime},
	{"compression-too-large", recodedTooLarge},
	{"compression-malformed", recodedMalformed},
}

// recodedTwice: a duplicate is known although it is stored under another codec.
func recodedTwice(b *broker, v int16) string {
	id := b.makeTopic(b.topic, 1, compression("lz4"))
	first := with(plain("one", "two"), func(t *batch) { t.codec, t.pid, t.epoch, t.sequence = kgo.CodecGzip, 4711, 0, 0 })
	next := with(plain("three"), func(t *batch) { t.codec, t.pid, t.epoch, t.sequence = kgo.CodecGzip, 4711, 0, 2 })
	text := ""
	for _, each := range []batch{first, first, next, first} {
		answer := b.mustAsk(produceRequest(v, -1, b.topic, id, 0, each.bytes())).(*kmsg.ProduceResponse)
		row := answer.Topics[0].Partitions[0]
		text += fmt.Sprintf("%s@%d ", errorName(row.ErrorCode), row.BaseOffset)
	}
	return text + "log " + b.log(b.topic, id)
}

// recodedTime: the largest timestamp of the new batch is that of its records.
func recodedTime(b *broker, v int16) string {
	id := b.makeTopic(b.topic, 1, compression("gzip"))
	return b.show(produceRequest(v, -1, b.topic, id, 0, with(plain("a", "b", "c"), func(t *batch) { t.maxTime = baseTime }).bytes())) +
		" log " + b.log(b.topic, id)
}

// recodedTooLarge: small as it comes, too large as it would be stored.
func recodedTooLarge(b *broker, v int16) string {
	id := b.makeTopic(b.topic, 1, compression("uncompressed", "max.message.bytes", "2000"))
	large := with(plain(strings.Repeat("x", 3000)), codec(kgo.CodecGzip))
	fits := with(plain(strings.Repeat("x", 500)), codec(kgo.CodecGzip))
	answer := b.show(produceRequest(v, -1, b.topic, id, 0, large.bytes()))
	b.produce(b.topic, id, fits)
	return fmt.Sprintf("%s and the log ends at %d", answer, b.end(b.topic))
}

// recodedMalformed: what nobody can open cannot be stored under another codec.
func recodedMalformed(b *broker, v int16) string {
	id := b.makeTopic(b.topic, 1, compression("gzip"))
	text := ""
	for _, change := range []func(*batch){
		func(t *batch) { t.countDelta, t.lastDelta = 1, 1 },
		func(t *batch) { t.countDelta, t.lastDelta = -1, -1 },
	} {
		text += b.show(produceRequest(v, -1, b.topic, id, 0, with(plain("x", "y"), change).bytes())) + " "
	}
	return fmt.Sprintf("%sand the log ends at %d", text, b.end(b.topic))
}
