// The scenarios of franz-go: franz-go HOST:PORT [SCENARIO].
//
// Prints one line per observation to stdout, the same on every run against a fresh broker: no ids, no
// ports, no times of the broker.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const baseTime = int64(1_700_000_000_000)

type here struct {
	context   context.Context
	bootstrap string
	client    *kgo.Client
	admin     *kadm.Client
}

type scenario struct {
	name string
	run  func(h *here)
}

var scenarios = []scenario{
	{"cluster", cluster},
	{"topics", topics},
	{"partitions", partitions},
	{"configs", configs},
	{"alter", alter},
	{"node", node},
	{"produce", produce},
	{"codecs", codecs},
	{"errors", produceErrors},
	{"autocreate", autoCreate},
	{"offsets", offsets},
	{"sessions", sessions},
	{"epochs", epochs},
	{"groups", groups},
	{"newgroups", newGroups},
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: franz-go HOST:PORT [SCENARIO]")
		os.Exit(2)
	}
	for _, each := range scenarios {
		if len(os.Args) > 2 && os.Args[2] != each.name {
			continue
		}
		fmt.Printf("# %s\n", each.name)
		within, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		h := &here{context: within, bootstrap: os.Args[1]}
		h.client = h.open()
		h.admin = kadm.NewClient(h.client)
		each.run(h)
		h.client.Close()
		cancel()
	}
}

func (h *here) open(options ...kgo.Opt) *kgo.Client {
	all := append([]kgo.Opt{kgo.SeedBrokers(h.bootstrap), kgo.MetadataMinAge(10 * time.Millisecond)}, options...)
	client, err := kgo.NewClient(all...)
	must(err)
	return client
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "franz-go:", err)
		os.Exit(1)
	}
}

func say(format string, values ...any) { fmt.Printf(format+"\n", values...) }

// outcome names an error, or says ok.
func outcome(err error) string {
	var known *kerr.Error
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &known):
		return known.Message
	default:
		return err.Error()
	}
}

// create makes a topic and waits until every partition answers.
func (h *here) create(topic string, count int32, configs map[string]*string) {
	_, err := h.admin.CreateTopic(h.context, count, 1, configs, topic)
	must(err)
	h.await(topic, int(count))
}

func (h *here) await(topic string, count int) {
	deadline := time.Now().Add(30 * time.Second)
	for {
		ends, err := h.admin.ListEndOffsets(h.context, topic)
		if err == nil && ends.Error() == nil && len(ends[topic]) == count {
			return
		}
		if time.Now().After(deadline) {
			must(fmt.Errorf("waited 30 s for %s", topic))
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func text(value string) *string { return &value }
