package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/IBM/sarama"
)

func (h *here) producer(change func(c *sarama.Config)) sarama.SyncProducer {
	c := config()
	change(c)
	return must(sarama.NewSyncProducer(h.bootstrap, c))
}

func message(topic string, partition int32, number int) *sarama.ProducerMessage {
	return &sarama.ProducerMessage{
		Topic: topic, Partition: partition, Timestamp: time.UnixMilli(baseTime + int64(number)*1000),
		Key: sarama.StringEncoder(fmt.Sprint("key-", number)), Value: sarama.StringEncoder(fmt.Sprint("value-", number)),
		Headers: []sarama.RecordHeader{{Key: []byte("n"), Value: []byte(fmt.Sprint(number))}},
	}
}

func shown(m *sarama.ConsumerMessage) string {
	headers := ""
	for _, header := range m.Headers {
		headers += fmt.Sprintf(" %s=%s", header.Key, header.Value)
	}
	return fmt.Sprintf("%d@%d +%d %s=%s%s", m.Partition, m.Offset, m.Timestamp.UnixMilli()-baseTime, m.Key, m.Value, headers)
}

// read gives some records of a partition, from an offset on.
func (h *here) read(topic string, partition int32, offset int64, count int) []*sarama.ConsumerMessage {
	consumer := must(sarama.NewConsumer(h.bootstrap, config()))
	defer consumer.Close()
	from := must(consumer.ConsumePartition(topic, partition, offset))
	defer from.Close()
	var all []*sarama.ConsumerMessage
	for len(all) < count {
		select {
		case m := <-from.Messages():
			all = append(all, m)
		case <-time.After(20 * time.Second):
			must(0, fmt.Errorf("waited 20 s for a record of %s", topic))
		}
	}
	return all
}

func produce(h *here) {
	h.create("produce.a", 2, nil)
	modes := []struct {
		name   string
		change func(c *sarama.Config)
	}{
		{"idempotent", func(c *sarama.Config) {
			c.Producer.Idempotent, c.Producer.RequiredAcks, c.Net.MaxOpenRequests = true, sarama.WaitForAll, 1
		}},
		{"all", func(c *sarama.Config) { c.Producer.RequiredAcks = sarama.WaitForAll }},
		{"1", func(c *sarama.Config) { c.Producer.RequiredAcks = sarama.WaitForLocal }},
		{"0", func(c *sarama.Config) { c.Producer.RequiredAcks = sarama.NoResponse }},
	}
	for _, mode := range modes {
		producer := h.producer(mode.change)
		for number := range 4 {
			partition, offset, err := producer.SendMessage(message("produce.a", int32(number%2), number))
			must(0, err)
			place := fmt.Sprintf("%d@%d", partition, offset)
			if mode.name == "0" {
				place = "sent"
			}
			fmt.Printf("%s produce[%d] -> %s\n", mode.name, number, place)
		}
		must(0, producer.Close())
	}
	for partition := range int32(2) {
		for _, m := range h.read("produce.a", partition, 0, 8) {
			fmt.Println("read ->", shown(m))
		}
	}
}

func codecs(h *here) {
	all := []sarama.CompressionCodec{
		sarama.CompressionNone, sarama.CompressionGZIP, sarama.CompressionSnappy, sarama.CompressionLZ4, sarama.CompressionZSTD,
	}
	for _, codec := range all {
		topic := fmt.Sprint("codecs.", codec)
		h.create(topic, 1, nil)
		producer := h.producer(func(c *sarama.Config) { c.Producer.Compression = codec })
		var batch []*sarama.ProducerMessage
		for number := range 20 {
			value := strings.Repeat("v", 300) + fmt.Sprint(number)
			batch = append(batch, &sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder(value)})
		}
		must(0, producer.SendMessages(batch))
		must(0, producer.Close())
		good := 0
		for number, m := range h.read(topic, 0, 0, 20) {
			if string(m.Value) == strings.Repeat("v", 300)+fmt.Sprint(number) && m.Offset == int64(number) {
				good++
			}
		}
		fmt.Printf("%s -> %d of 20 records\n", codec, good)
	}
}

func produceErrors(h *here) {
	small := "500"
	h.create("errors.small", 1, map[string]*string{"max.message.bytes": &small})
	producer := h.producer(func(c *sarama.Config) { c.Producer.Retry.Max = 1 })
	defer producer.Close()
	attempt := func(what string, m *sarama.ProducerMessage) {
		_, _, err := producer.SendMessage(m)
		fmt.Println(what, "->", outcome(err))
	}
	large := message("errors.small", 0, 0)
	large.Value = sarama.StringEncoder(strings.Repeat("v", 2000))
	attempt("too large", large)
	attempt("fits", message("errors.small", 0, 0))
	future := message("errors.small", 0, 0)
	future.Timestamp = time.Now().Add(3 * time.Hour)
	attempt("in the future", future)
	attempt("invalid topic", message("a/b", 0, 0))
}

func offsets(h *here) {
	h.create("offsets.a", 2, nil)
	producer := h.producer(func(*sarama.Config) {})
	for _, number := range []int{0, 1, 2, 5, 3, 4} {
		_, _, err := producer.SendMessage(message("offsets.a", 0, number))
		must(0, err)
	}
	must(0, producer.Close())
	for partition := range int32(2) {
		oldest := must(h.client.GetOffset("offsets.a", partition, sarama.OffsetOldest))
		newest := must(h.client.GetOffset("offsets.a", partition, sarama.OffsetNewest))
		fmt.Printf("offsets of %d -> %d %d\n", partition, oldest, newest)
	}
	for _, after := range []int64{-1, 0, 1, 2500, 5000, 5001} {
		fmt.Printf("at %d -> %d\n", after, must(h.client.GetOffset("offsets.a", 0, baseTime+after)))
	}
	for _, m := range h.read("offsets.a", 0, 4, 2) {
		fmt.Println("from 4 ->", shown(m))
	}
	consumer := must(sarama.NewConsumer(h.bootstrap, config()))
	defer consumer.Close()
	_, err := consumer.ConsumePartition("offsets.a", 0, 100)
	fmt.Println("beyond the end ->", outcome(err))
}
