// The scenarios of sarama: sarama HOST:PORT [SCENARIO].
//
// Prints one line per observation to stdout, the same on every run against a fresh broker: no ids, no
// ports, no times of the broker.
package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/IBM/sarama"
)

const baseTime = int64(1_700_000_000_000)

type here struct {
	bootstrap []string
	client    sarama.Client
	admin     sarama.ClusterAdmin
}

var scenarios = []struct {
	name string
	run  func(h *here)
}{
	{"cluster", cluster},
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
		fmt.Fprintln(os.Stderr, "usage: sarama HOST:PORT [SCENARIO]")
		os.Exit(2)
	}
	h := &here{bootstrap: os.Args[1:2]}
	h.client = must(sarama.NewClient(h.bootstrap, config()))
	h.admin = must(sarama.NewClusterAdminFromClient(h.client))
	for _, each := range scenarios {
		if len(os.Args) > 2 && os.Args[2] != each.name {
			continue
		}
		fmt.Printf("# %s\n", each.name)
		each.run(h)
	}
}

// config speaks the newest versions that sarama knows.
func config() *sarama.Config {
	c := sarama.NewConfig()
	c.Version = sarama.MaxVersion
	c.Metadata.RefreshFrequency = 300 * time.Millisecond
	c.Metadata.Retry.Backoff = 20 * time.Millisecond
	c.Producer.Return.Successes = true
	c.Producer.Partitioner = sarama.NewManualPartitioner
	c.Producer.Retry.Backoff = 20 * time.Millisecond
	c.Consumer.MaxWaitTime = 100 * time.Millisecond
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	c.Consumer.Offsets.AutoCommit.Enable = false
	c.Consumer.Group.Session.Timeout = 10 * time.Second
	c.Consumer.Group.Heartbeat.Interval = 200 * time.Millisecond
	return c
}

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, "sarama:", err)
		os.Exit(1)
	}
	return value
}

// outcome is ok, or the code of the protocol error.
func outcome(err error) string {
	var code sarama.KError
	var topic *sarama.TopicError
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &topic):
		return fmt.Sprint("error ", int16(topic.Err))
	case errors.As(err, &code):
		return fmt.Sprint("error ", int16(code))
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
	found := must(h.admin.DescribeTopics([]string{topic}))
	return len(found[0].Partitions)
}

func (h *here) create(topic string, partitions int32, entries map[string]*string) {
	detail := &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1, ConfigEntries: entries}
	must(0, h.admin.CreateTopic(topic, detail, false))
	until("partitions", func() bool { return h.partitions(topic) == int(partitions) })
	must(0, h.client.RefreshMetadata(topic))
}

func cluster(h *here) {
	brokers, controller, err := h.admin.DescribeCluster()
	must(0, err)
	fmt.Println("brokers ->", len(brokers))
	fmt.Println("controller is a broker ->", brokers[0].ID() == controller)
}

func topics(h *here) {
	create := func(topic string, partitions int32, replicas int16, entries map[string]*string) string {
		detail := &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: replicas, ConfigEntries: entries}
		return outcome(h.admin.CreateTopic(topic, detail, false))
	}
	fmt.Println("create ->", create("topics.a", 3, 1, nil))
	until("partitions", func() bool { return h.partitions("topics.a") == 3 })
	for _, name := range []string{"topics.a", ".", "a/b", "größe", strings.Repeat("l", 250), "topics_a"} {
		fmt.Printf("create '%.20s' -> %s\n", name, create(name, 1, 1, nil))
	}
	one := "1"
	fmt.Println("no partitions ->", create("topics.zero", 0, 1, nil))
	fmt.Println("two replicas ->", create("topics.two", 1, 2, nil))
	fmt.Println("unknown key ->", create("topics.key", 1, 1, map[string]*string{"no.such.key": &one}))
	var names []string
	for name := range must(h.admin.ListTopics()) {
		if strings.HasPrefix(name, "topics.") {
			names = append(names, name)
		}
	}
	fmt.Println("list ->", names)
	for _, count := range []int32{5, 5, 2} {
		fmt.Printf("grow to %d -> %s\n", count, outcome(h.admin.CreatePartitions("topics.a", count, nil, false)))
	}
	for _, name := range []string{"topics.a", "topics.absent"} {
		fmt.Printf("delete %s -> %s\n", name, outcome(h.admin.DeleteTopic(name)))
	}
}

func configs(h *here) {
	segment := "444000"
	h.create("configs.a", 1, map[string]*string{"segment.ms": &segment})
	keys := []string{"max.message.bytes", "message.timestamp.type", "segment.ms"}
	described := func(topic string) ([]sarama.ConfigEntry, error) {
		asked := sarama.ConfigResource{Type: sarama.TopicResource, Name: topic, ConfigNames: keys}
		found, err := h.admin.DescribeConfig(asked)
		slices.SortFunc(found, func(a, b sarama.ConfigEntry) int { return strings.Compare(a.Name, b.Name) })
		return found, err
	}
	describe := func(topic string) {
		found, err := described(topic)
		fmt.Printf("describe %s -> %s\n", topic, outcome(err))
		for _, entry := range found {
			fmt.Printf("%s -> %s source=%s\n", entry.Name, entry.Value, entry.Source)
		}
	}
	alter := func(key, value string, operation sarama.IncrementalAlterConfigsOperation) string {
		entries := map[string]sarama.IncrementalAlterConfigsEntry{key: {Operation: operation, Value: &value}}
		return outcome(h.admin.IncrementalAlterConfig(sarama.TopicResource, "configs.a", entries, false))
	}
	describe("configs.a")
	describe("configs.absent")
	fmt.Println("set ->", alter("max.message.bytes", "100000", sarama.IncrementalAlterConfigsOperationSet))
	fmt.Println("set to nonsense ->", alter("max.message.bytes", "many", sarama.IncrementalAlterConfigsOperationSet))
	fmt.Println("delete ->", alter("segment.ms", "", sarama.IncrementalAlterConfigsOperationDelete))
	until("the default", func() bool { return must(described("configs.a"))[2].Source == sarama.SourceDefault })
	describe("configs.a")
}
