package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const baseTime = int64(1_700_000_000_000)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A batch describes record batch v2 with every knob a bad producer could turn.
type batch struct {
	values     []string // one record each; its key is "k-" + value unless keyless
	keyless    bool
	codec      kgo.CompressionCodecType
	attributes int16 // or-ed in
	baseOffset int64
	firstTime  int64 // 0: baseTime; record i has firstTime + 10·i
	maxTime    int64 // 0: that of the last record
	pid        int64
	epoch      int16
	sequence   int32
	// what may be wrong
	magic      int8 // 0: 2
	badCRC     bool
	countDelta int32
	lastDelta  int32 // added to the last offset delta
	lengthPlus int32
	offsetStep int32 // 0: 1; between the records' offset deltas
}

func plain(values ...string) batch {
	return batch{values: values, pid: -1, epoch: -1, sequence: -1}
}

func (t batch) bytes() []byte {
	first := t.firstTime
	if first == 0 {
		first = baseTime
	}
	step := t.offsetStep
	if step == 0 {
		step = 1
	}
	var records []byte
	for i, value := range t.values {
		records = appendRecord(records, int32(i)*step, int64(i)*10, value, t.keyless)
	}
	last := t.maxTime
	if last == 0 {
		last = first + int64(max(0, len(t.values)-1))*10
	}
	magic := t.magic
	if magic == 0 {
		magic = 2
	}
	out := kmsg.RecordBatch{
		FirstOffset: t.baseOffset, PartitionLeaderEpoch: -1, Magic: magic,
		Attributes:      int16(t.codec) | t.attributes,
		LastOffsetDelta: int32(len(t.values)-1)*step + t.lastDelta,
		FirstTimestamp:  first, MaxTimestamp: last,
		ProducerID: t.pid, ProducerEpoch: t.epoch, FirstSequence: t.sequence,
		NumRecords: int32(len(t.values)) + t.countDelta, Records: compress(records, t.codec),
	}
	raw := out.AppendTo(nil)
	binary.BigEndian.PutUint32(raw[8:], uint32(int32(len(raw)-12)+t.lengthPlus))
	crc := crc32.Checksum(raw[21:], castagnoli)
	if t.badCRC {
		crc++
	}
	binary.BigEndian.PutUint32(raw[17:], crc)
	return raw
}

func appendRecord(out []byte, offsetDelta int32, timeDelta int64, value string, keyless bool) []byte {
	body := []byte{0}
	body = kbin.AppendVarlong(body, timeDelta)
	body = kbin.AppendVarint(body, offsetDelta)
	if keyless {
		body = kbin.AppendVarint(body, -1)
	} else {
		body = kbin.AppendVarintBytes(body, []byte("k-"+value))
	}
	body = kbin.AppendVarintBytes(body, []byte(value))
	body = kbin.AppendVarint(body, 1)
	body = kbin.AppendVarintString(body, "h")
	body = kbin.AppendVarintBytes(body, []byte("of-"+value))
	return append(kbin.AppendVarint(out, int32(len(body))), body...)
}

func compress(records []byte, codec kgo.CompressionCodecType) []byte {
	choice := map[kgo.CompressionCodecType]kgo.CompressionCodec{
		kgo.CodecGzip: kgo.GzipCompression(), kgo.CodecSnappy: kgo.SnappyCompression(),
		kgo.CodecLz4: kgo.Lz4Compression(), kgo.CodecZstd: kgo.ZstdCompression(),
	}
	wanted, ok := choice[codec]
	if !ok {
		return records
	}
	compressor, err := kgo.DefaultCompressor(wanted)
	if err != nil {
		fatal(err)
	}
	packed, _ := compressor.Compress(new(bytes.Buffer), records)
	return bytes.Clone(packed)
}

// batches prints what a Fetch returned: each batch's head and its records, or what is wrong with them.
func (b *broker) batches(raw []byte) string {
	var parts []string
	for len(raw) > 0 {
		if len(raw) < 61 || len(raw) < 12+int(binary.BigEndian.Uint32(raw[8:])) {
			parts = append(parts, fmt.Sprintf("cut batch of %d bytes", len(raw)))
			break
		}
		size := 12 + int(binary.BigEndian.Uint32(raw[8:]))
		parts = append(parts, b.oneBatch(raw[:size]))
		raw = raw[size:]
	}
	return "[" + strings.Join(parts, " ") + "]"
}

func (b *broker) oneBatch(raw []byte) string {
	var batch kmsg.RecordBatch
	if err := batch.ReadFrom(raw); err != nil {
		return err.Error()
	}
	crc := "ok"
	if crc32.Checksum(raw[21:], castagnoli) != uint32(batch.CRC) {
		crc = "bad"
	}
	firstTime := fmt.Sprint(batch.FirstTimestamp - baseTime)
	maxTime := fmt.Sprint(batch.MaxTimestamp - baseTime)
	if batch.Attributes&8 != 0 { // log append time: the broker's clock
		firstTime, maxTime = "SENT", "BROKER"
	}
	head := fmt.Sprintf("offset=%d epoch=%s magic=%d crc=%s attributes=%d last=%d times=%s..%s pid=%s/%d/%d count=%d",
		batch.FirstOffset, b.epochWord(batch.PartitionLeaderEpoch), batch.Magic, crc, batch.Attributes,
		batch.LastOffsetDelta, firstTime, maxTime, producerWord(batch.ProducerID), batch.ProducerEpoch,
		batch.FirstSequence, batch.NumRecords)
	return "{" + head + " " + records(batch) + "}"
}

func records(batch kmsg.RecordBatch) string {
	plainBytes, err := kgo.DefaultDecompressor().Decompress(batch.Records, kgo.CompressionCodecType(batch.Attributes&7))
	if err != nil {
		return err.Error()
	}
	reader := kbin.Reader{Src: plainBytes}
	var parts []string
	for range batch.NumRecords {
		length := reader.Varint()
		var record kmsg.Record
		body := reader.Span(int(length))
		if err := record.ReadFrom(append(kbin.AppendVarint(nil, length), body...)); err != nil {
			return err.Error()
		}
		parts = append(parts, oneRecord(record))
	}
	return strings.Join(parts, ",")
}

func oneRecord(record kmsg.Record) string {
	var headers []string
	for _, header := range record.Headers {
		headers = append(headers, header.Key+":"+string(header.Value))
	}
	key := "null"
	if record.Key != nil {
		key = string(record.Key)
	}
	return fmt.Sprintf("+%d+%dms %s=%s(%s)", record.OffsetDelta, record.TimestampDelta64, key,
		record.Value, strings.Join(headers, ";"))
}
