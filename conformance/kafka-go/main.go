// The scenarios of segmentio's kafka-go: kafka-go HOST:PORT [SCENARIO].
//
// Prints one line per observation to stdout, the same on every run against a fresh broker: no ids, no
// ports, no times of the broker.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/compress"
)

const baseTime = int64(1_700_000_000_000)

type here struct {
	context   context.Context
	bootstrap string
	client    *kafka.Client
}

var scenarios = []struct {
	name string
	run  func(h *here)
}{
	{"topics", topics},
	{"configs", configs},
	{"produce", produce},
	{"codecs", codecs},
	{"errors", produceErrors},
	{"offsets", offsets},
	{"groups", groups},
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: kafka-go HOST:PORT [SCENARIO]")
		os.Exit(2)
	}
	transport := &kafka.Transport{MetadataTTL: time.Second}
	client := &kafka.Client{Addr: kafka.TCP(os.Args[1]), Timeout: 10 * time.Second, Transport: transport}
	for _, each := range scenarios {
		if len(os.Args) > 2 && os.Args[2] != each.name {
			continue
		}
		fmt.Printf("# %s\n", each.name)
		within, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		each.run(&here{context: within, bootstrap: os.Args[1], client: client})
		cancel()
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, "kafka-go:", err)
		os.Exit(1)
	}
	return value
}

// outcome is ok, or the code of the protocol error.
func outcome(err error) string {
	var code kafka.Error
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &code):
		return fmt.Sprint("error ", int(code))
	default:
		return "another error"
	}
}

func until(what string, so func() bool) {
	deadline := time.Now().Add(30 * time.Second)
	for !so() {
		if time.Now().After(deadline) {
			must(0, fmt.Errorf("waited 30 s for %s", what))
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (h *here) partitions(topic string) int {
	found := must(h.client.Metadata(h.context, &kafka.MetadataRequest{Topics: []string{topic}}))
	return len(found.Topics[0].Partitions)
}

func (h *here) createError(topic kafka.TopicConfig) error {
	made := must(h.client.CreateTopics(h.context, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{topic}}))
	return made.Errors[topic.Topic]
}

func (h *here) create(name string, partitions int, entries ...kafka.ConfigEntry) {
	topic := kafka.TopicConfig{Topic: name, NumPartitions: partitions, ReplicationFactor: 1, ConfigEntries: entries}
	must(0, h.createError(topic))
	until("partitions", func() bool { return h.partitions(name) == partitions })
}

func topics(h *here) {
	create := func(name string, partitions, replicas int, entries ...kafka.ConfigEntry) string {
		topic := kafka.TopicConfig{Topic: name, NumPartitions: partitions, ReplicationFactor: replicas, ConfigEntries: entries}
		return outcome(h.createError(topic))
	}
	fmt.Println("create ->", create("topics.a", 3, 1))
	until("partitions", func() bool { return h.partitions("topics.a") == 3 })
	for _, name := range []string{"topics.a", ".", "a/b", "größe", strings.Repeat("l", 250), "topics_a"} {
		fmt.Printf("create '%.20s' -> %s\n", name, create(name, 1, 1))
	}
	fmt.Println("no partitions ->", create("topics.zero", 0, 1))
	fmt.Println("two replicas ->", create("topics.two", 1, 2))
	fmt.Println("unknown key ->", create("topics.key", 1, 1, kafka.ConfigEntry{ConfigName: "no.such.key", ConfigValue: "1"}))
	for _, count := range []int32{5, 5, 2} {
		grow := kafka.TopicPartitionsConfig{Name: "topics.a", Count: count}
		grown := must(h.client.CreatePartitions(h.context, &kafka.CreatePartitionsRequest{Topics: []kafka.TopicPartitionsConfig{grow}}))
		fmt.Printf("grow to %d -> %s\n", count, outcome(grown.Errors["topics.a"]))
	}
	for _, name := range []string{"topics.a", "topics.absent"} {
		gone := must(h.client.DeleteTopics(h.context, &kafka.DeleteTopicsRequest{Topics: []string{name}}))
		fmt.Printf("delete %s -> %s\n", name, outcome(gone.Errors[name]))
	}
}

func configs(h *here) {
	h.create("configs.a", 1, kafka.ConfigEntry{ConfigName: "segment.ms", ConfigValue: "444000"})
	keys := []string{"max.message.bytes", "message.timestamp.type", "segment.ms"}
	described := func(topic string) kafka.DescribeConfigResponseResource {
		asked := kafka.DescribeConfigRequestResource{ResourceType: kafka.ResourceTypeTopic, ResourceName: topic, ConfigNames: keys}
		found := must(h.client.DescribeConfigs(h.context, &kafka.DescribeConfigsRequest{Resources: []kafka.DescribeConfigRequestResource{asked}}))
		byName := func(a, b kafka.DescribeConfigResponseConfigEntry) int {
			return strings.Compare(a.ConfigName, b.ConfigName)
		}
		slices.SortFunc(found.Resources[0].ConfigEntries, byName)
		return found.Resources[0]
	}
	describe := func(topic string) {
		resource := described(topic)
		fmt.Printf("describe %s -> %s, %d entries\n", topic, outcome(resource.Error), len(resource.ConfigEntries))
		for _, entry := range resource.ConfigEntries {
			fmt.Printf("%s -> %s source=%d\n", entry.ConfigName, entry.ConfigValue, entry.ConfigSource)
		}
	}
	alter := func(key, value string) string {
		change := kafka.IncrementalAlterConfigsRequestConfig{Name: key, Value: value, ConfigOperation: kafka.ConfigOperationSet}
		resource := kafka.IncrementalAlterConfigsRequestResource{
			ResourceType: kafka.ResourceTypeTopic, ResourceName: "configs.a",
			Configs: []kafka.IncrementalAlterConfigsRequestConfig{change},
		}
		request := kafka.IncrementalAlterConfigsRequest{Resources: []kafka.IncrementalAlterConfigsRequestResource{resource}}
		return outcome(must(h.client.IncrementalAlterConfigs(h.context, &request)).Resources[0].Error)
	}
	describe("configs.a")
	describe("configs.absent")
	fmt.Println("set ->", alter("max.message.bytes", "100000"))
	fmt.Println("set to nonsense ->", alter("max.message.bytes", "many"))
	until("the new value", func() bool { return described("configs.a").ConfigEntries[0].ConfigValue == "100000" })
	describe("configs.a")
}

func (h *here) writer(topic string, partition int) *kafka.Writer {
	return &kafka.Writer{
		Addr: kafka.TCP(h.bootstrap), Topic: topic, BatchTimeout: time.Millisecond, RequiredAcks: kafka.RequireAll,
		Balancer:        kafka.BalancerFunc(func(kafka.Message, ...int) int { return partition }),
		Transport:       &kafka.Transport{MetadataTTL: time.Second},
		WriteBackoffMin: 20 * time.Millisecond,
	}
}

func message(number int) kafka.Message {
	return kafka.Message{
		Key: []byte(fmt.Sprint("key-", number)), Value: []byte(fmt.Sprint("value-", number)),
		Headers: []kafka.Header{{Key: "n", Value: []byte(fmt.Sprint(number))}},
		Time:    time.UnixMilli(baseTime + int64(number)*1000),
	}
}

func shown(m kafka.Message) string {
	headers := ""
	for _, header := range m.Headers {
		headers += fmt.Sprintf(" %s=%s", header.Key, header.Value)
	}
	return fmt.Sprintf("%d@%d +%d %s=%s%s", m.Partition, m.Offset, m.Time.UnixMilli()-baseTime, m.Key, m.Value, headers)
}

// read gives some records of a partition, from an offset on.
func (h *here) read(topic string, partition int, offset int64, count int) []kafka.Message {
	reader := kafka.NewReader(kafka.ReaderConfig{
		Brokers: []string{h.bootstrap}, Topic: topic, Partition: partition, MaxWait: 100 * time.Millisecond,
	})
	defer reader.Close()
	must(0, reader.SetOffset(offset))
	var all []kafka.Message
	for range count {
		all = append(all, must(reader.ReadMessage(h.context)))
	}
	return all
}

func produce(h *here) {
	h.create("produce.a", 2)
	for _, acks := range []kafka.RequiredAcks{kafka.RequireAll, kafka.RequireOne, kafka.RequireNone} {
		for partition := range 2 {
			writer := h.writer("produce.a", partition)
			writer.RequiredAcks = acks
			fmt.Printf("produce %s to %d -> %s\n", acks, partition, outcome(writer.WriteMessages(h.context, message(partition), message(partition+2))))
			must(0, writer.Close())
		}
	}
	for partition := range 2 {
		for _, m := range h.read("produce.a", partition, 0, 6) {
			fmt.Println("read ->", shown(m))
		}
	}
	// One connection, and no negotiation of versions: what old programs do.
	conn := must(kafka.DialLeader(h.context, "tcp", h.bootstrap, "produce.a", 0))
	defer conn.Close()
	must(conn.WriteMessages(kafka.Message{Value: []byte("by a connection")}))
	first, last, err := conn.ReadOffsets()
	fmt.Println("offsets by a connection ->", first, last, outcome(err))
}

func codecs(h *here) {
	for _, codec := range []kafka.Compression{compress.None, kafka.Gzip, kafka.Snappy, kafka.Lz4, kafka.Zstd} {
		topic := fmt.Sprint("codecs.", int(codec))
		h.create(topic, 1)
		writer := h.writer(topic, 0)
		writer.Compression = codec
		var batch []kafka.Message
		for number := range 20 {
			batch = append(batch, kafka.Message{Value: []byte(strings.Repeat("v", 300) + fmt.Sprint(number))})
		}
		must(0, writer.WriteMessages(h.context, batch...))
		must(0, writer.Close())
		good := 0
		for number, m := range h.read(topic, 0, 0, 20) {
			if string(m.Value) == strings.Repeat("v", 300)+fmt.Sprint(number) && m.Offset == int64(number) {
				good++
			}
		}
		fmt.Printf("codec %d -> %d of 20 records\n", int(codec), good)
	}
}

func produceErrors(h *here) {
	h.create("errors.small", 1, kafka.ConfigEntry{ConfigName: "max.message.bytes", ConfigValue: "500"})
	attempt := func(what, topic string, m kafka.Message) {
		writer := h.writer(topic, 0)
		writer.MaxAttempts = 1
		err := writer.WriteMessages(h.context, m)
		var each kafka.WriteErrors
		if errors.As(err, &each) {
			err = each[0]
		}
		fmt.Println(what, "->", outcome(err))
		must(0, writer.Close())
	}
	attempt("too large", "errors.small", kafka.Message{Value: []byte(strings.Repeat("v", 2000))})
	attempt("fits", "errors.small", message(0))
	attempt("in the future", "errors.small", kafka.Message{Value: []byte("v"), Time: time.Now().Add(3 * time.Hour)})
	attempt("an unknown topic", "errors.absent", message(0))
}
