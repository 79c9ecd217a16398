package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// franzSingle sends records at fixed times and reads them back. A record carries the time at which it was due, so
// both latencies count from there. The client has its own idea of what goes together in a request: linger is 0
// and a batch has room for one record, but records of several partitions may share a request.
func franzSingle(address, topic string, rate, seconds int) (report, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	producer, err := kgo.NewClient(
		kgo.SeedBrokers(address), kgo.DefaultProduceTopic(topic), kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.DisableIdempotentWrite(), kgo.MaxProduceRequestsInflightPerBroker(64), kgo.ProducerLinger(0),
		kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerBatchMaxBytes(recordBytes+200),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MaxBufferedRecords(1<<20),
	)
	if err != nil {
		return report{}, err
	}
	defer producer.Close()
	consumer, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.ConsumePartitions(places(topic)))
	if err != nil {
		return report{}, err
	}
	defer consumer.Close()
	count := rate * seconds
	var acknowledged, seen latencies
	var failed atomic.Pointer[error]
	read := make(chan error, 1)
	go func() { read <- readBack(ctx, consumer, count, &seen) }()
	if err := consumer.Ping(ctx); err != nil {
		return report{}, err
	}
	began := time.Now().Add(500 * time.Millisecond)
	for number := range count {
		due := began.Add(time.Duration(number) * time.Second / time.Duration(rate))
		time.Sleep(time.Until(due))
		value := make([]byte, recordBytes)
		binary.BigEndian.PutUint64(value, uint64(due.UnixNano()))
		record := &kgo.Record{Value: value, Partition: int32(number % partitions)}
		producer.Produce(ctx, record, func(_ *kgo.Record, err error) {
			if err != nil {
				failed.Store(&err)
			}
			acknowledged.add(time.Since(due))
		})
	}
	if err := producer.Flush(ctx); err != nil {
		return report{}, err
	}
	if err := failed.Load(); err != nil {
		return report{}, *err
	}
	if err := <-read; err != nil {
		return report{}, err
	}
	return report{count, time.Since(began).Seconds(), acknowledged.quantiles(), seen.quantiles()}, nil
}

func places(topic string) map[string]map[int32]kgo.Offset {
	all := make(map[int32]kgo.Offset)
	for partition := range int32(partitions) {
		all[partition] = kgo.NewOffset().AtStart()
	}
	return map[string]map[int32]kgo.Offset{topic: all}
}

func readBack(ctx context.Context, consumer *kgo.Client, count int, seen *latencies) error {
	for got := 0; got < count; {
		fetches := consumer.PollFetches(ctx)
		now := time.Now()
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("%d of %d were read: %w", got, count, err)
		}
		fetches.EachRecord(func(record *kgo.Record) {
			due := time.Unix(0, int64(binary.BigEndian.Uint64(record.Value)))
			seen.add(now.Sub(due))
			got++
		})
	}
	return nil
}

// franzVolume writes records in batches of up to 1 MiB, then reads them all.
func franzVolume(address, topic string, count int) (report, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	producer, err := kgo.NewClient(
		kgo.SeedBrokers(address), kgo.DefaultProduceTopic(topic), kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerBatchMaxBytes(1<<20),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(20*time.Millisecond),
	)
	if err != nil {
		return report{}, err
	}
	defer producer.Close()
	began := time.Now()
	value := make([]byte, recordBytes)
	var failed atomic.Pointer[error]
	var waiting sync.WaitGroup
	for number := range count {
		// A partition gets a row of records, so that its batches are full.
		record := &kgo.Record{Value: value, Partition: int32(number / 1000 % partitions)}
		waiting.Add(1)
		producer.Produce(ctx, record, func(_ *kgo.Record, err error) {
			if err != nil {
				failed.Store(&err)
			}
			waiting.Done()
		})
	}
	waiting.Wait()
	if err := failed.Load(); err != nil {
		return report{}, *err
	}
	consumer, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.ConsumePartitions(places(topic)))
	if err != nil {
		return report{}, err
	}
	defer consumer.Close()
	for got := 0; got < count; {
		fetches := consumer.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return report{}, fmt.Errorf("%d of %d were read: %w", got, count, err)
		}
		got += fetches.NumRecords()
	}
	return report{Records: count, Seconds: time.Since(began).Seconds()}, nil
}
