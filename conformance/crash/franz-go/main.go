// The crash producer of franz-go: crash HOST:PORT TOPIC PARTITIONS RATE FILE.
//
// Writes records to every partition in turn, idempotently, until stdin ends, and rides through a broker that
// goes away and comes back. Every acknowledgement becomes a line of FILE: partition, offset, sequence. The key
// of a record is the producer's name and the record's sequence in its partition.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	name  = "franz-go"
	pause = 10 * time.Millisecond
)

// acks is the file of what was acknowledged.
type acks struct {
	lock   sync.Mutex
	buffer *bufio.Writer
	failed error
}

func (a *acks) take(partition int32, offset, sequence int64, err error) {
	a.lock.Lock()
	defer a.lock.Unlock()
	if err != nil {
		a.failed = errors.Join(a.failed, fmt.Errorf("record %d of partition %d: %w", sequence, partition, err))
		return
	}
	fmt.Fprintln(a.buffer, partition, offset, sequence)
}

// flush makes the lines visible; it fails if a record did.
func (a *acks) flush() error {
	a.lock.Lock()
	defer a.lock.Unlock()
	return errors.Join(a.failed, a.buffer.Flush())
}

func main() {
	if len(os.Args) != 6 {
		fmt.Fprintln(os.Stderr, "usage: crash HOST:PORT TOPIC PARTITIONS RATE FILE")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5]); err != nil {
		fmt.Fprintln(os.Stderr, "crash/franz-go:", err)
		os.Exit(1)
	}
}

func run(bootstrap, topic, partitionText, rateText, path string) error {
	partitions, err := strconv.Atoi(partitionText)
	if err != nil {
		return err
	}
	rate, err := strconv.Atoi(rateText)
	if err != nil {
		return err
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	client, err := kgo.NewClient(
		kgo.SeedBrokers(bootstrap),
		kgo.DefaultProduceTopic(topic),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.StopProducerOnDataLossDetected(), // lost records are an error here, not something to go on from
		kgo.UnknownTopicRetries(-1),
		kgo.RequestRetries(1_000_000),
		kgo.RetryBackoffFn(func(int) time.Duration { return 50 * time.Millisecond }),
		kgo.MetadataMinAge(50*time.Millisecond),
		kgo.ProducerLinger(2*time.Millisecond),
		kgo.MaxBufferedRecords(10_000),
	)
	if err != nil {
		return err
	}
	defer client.Close()
	told := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(told)
	}()
	out := &acks{buffer: bufio.NewWriter(file)}
	sequences := make([]int64, partitions)
	each := max(rate/int(time.Second/pause), 1)
	for partition := 0; ; {
		select {
		case <-told:
			within, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			if err := client.Flush(within); err != nil {
				return fmt.Errorf("flush: %w", err)
			}
			return out.flush()
		case <-time.After(pause):
		}
		for range each {
			sequence, to := sequences[partition], int32(partition)
			sequences[partition]++
			partition = (partition + 1) % partitions
			record := &kgo.Record{
				Partition: to,
				Key:       fmt.Appendf(nil, "%s %d", name, sequence),
				Value:     make([]byte, rand.Intn(1000)),
			}
			client.Produce(context.Background(), record, func(done *kgo.Record, err error) {
				out.take(to, done.Offset, sequence, err)
			})
		}
		if err := out.flush(); err != nil {
			return err
		}
	}
}
