package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

const (
	// groupClients share the groups: a broker answers the requests of one connection in turn.
	groupClients = 8
	// memberSession is the longest that Kafka allows (group.max.session.timeout.ms).
	memberSession = 30 * time.Minute
)

// groupCommits stores one offset after the other for each group, one request in flight a group.
func groupCommits(address, topic string, groups, seconds int) (report, error) {
	var took latencies
	var count atomic.Int64
	began := time.Now()
	until := began.Add(time.Duration(seconds) * time.Second)
	err := eachGroup(address, groups, func(ctx context.Context, client *kgo.Client, group string) error {
		for offset := int64(0); time.Now().Before(until); offset++ {
			sent := time.Now()
			if err := commit(ctx, client, group, topic, member{"", -1}, offset); err != nil {
				return err
			}
			took.add(time.Since(sent))
			count.Add(1)
		}
		return nil
	})
	return report{Records: int(count.Load()), Seconds: time.Since(began).Seconds(), Acknowledged: took.quantiles()}, err
}

// groupMany makes groups with one member and one stored offset each, and leaves them so.
func groupMany(address, topic string, groups int) (report, error) {
	began := time.Now()
	made := func(ctx context.Context, client *kgo.Client, group string) error {
		joined, err := join(ctx, client, group)
		if err != nil {
			return err
		}
		return commit(ctx, client, group, topic, joined, 0)
	}
	err := shared(address, groups, made)
	return report{Records: groups, Seconds: time.Since(began).Seconds()}, err
}

// groupJoin lets a consumer with a group of its own join, again and again: from its making to its first record.
func groupJoin(address, topic string, rounds int, serverSide bool) (report, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	producer, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.DefaultProduceTopic(topic))
	if err != nil {
		return report{}, err
	}
	defer producer.Close()
	for range 100 {
		if err := producer.ProduceSync(ctx, kgo.StringRecord("a record")).FirstErr(); err != nil {
			return report{}, err
		}
	}
	var took latencies
	began := time.Now()
	for round := range rounds {
		start := time.Now()
		options := []kgo.Opt{
			kgo.SeedBrokers(address), kgo.ConsumeTopics(topic),
			kgo.ConsumerGroup(fmt.Sprintf("join-%t-%d", serverSide, round)),
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		}
		if serverSide {
			options = append(options, kgo.ServerSideBalancer())
		}
		consumer, err := kgo.NewClient(options...)
		if err != nil {
			return report{}, err
		}
		for got := 0; got == 0; {
			fetches := consumer.PollFetches(ctx)
			if err := fetches.Err(); err != nil {
				return report{}, err
			}
			got = fetches.NumRecords()
		}
		took.add(time.Since(start))
		consumer.Close()
	}
	return report{Records: rounds, Seconds: time.Since(began).Seconds(), EndToEnd: took.quantiles()}, nil
}

type work func(ctx context.Context, client *kgo.Client, group string) error

// eachGroup does the work for all groups at once.
func eachGroup(address string, groups int, work work) error {
	return withClients(address, func(ctx context.Context, clients []*kgo.Client) error {
		errs := make([]error, groups)
		var running sync.WaitGroup
		for group := range groups {
			running.Add(1)
			go func() {
				defer running.Done()
				errs[group] = work(ctx, clients[group%len(clients)], fmt.Sprintf("group-%d", group))
			}()
		}
		running.Wait()
		return errors.Join(errs...)
	})
}

// shared does the work for one group after the other on each client.
func shared(address string, groups int, work work) error {
	return withClients(address, func(ctx context.Context, clients []*kgo.Client) error {
		errs := make([]error, len(clients))
		var running sync.WaitGroup
		for place, client := range clients {
			running.Add(1)
			go func() {
				defer running.Done()
				for group := place; group < groups && errs[place] == nil; group += len(clients) {
					errs[place] = work(ctx, client, fmt.Sprintf("many-%d", group))
				}
			}()
		}
		running.Wait()
		return errors.Join(errs...)
	})
}

func withClients(address string, use func(context.Context, []*kgo.Client) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var clients []*kgo.Client
	for range groupClients {
		// The versions that name a topic by its name.
		client, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.MaxVersions(kversion.V3_9_0()))
		if err != nil {
			return err
		}
		defer client.Close()
		clients = append(clients, client)
	}
	return use(ctx, clients)
}

// member is who commits; a group without members is committed to by nobody, in generation -1.
type member struct {
	id         string
	generation int32
}

func commit(ctx context.Context, client *kgo.Client, group, topic string, by member, offset int64) error {
	request := kmsg.NewPtrOffsetCommitRequest()
	request.Group, request.MemberID, request.Generation = group, by.id, by.generation
	partition := kmsg.NewOffsetCommitRequestTopicPartition()
	partition.Offset = offset
	stored := kmsg.NewOffsetCommitRequestTopic()
	stored.Topic = topic
	stored.Partitions = append(stored.Partitions, partition)
	request.Topics = append(request.Topics, stored)
	response, err := request.RequestWith(ctx, client)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(response.Topics[0].Partitions[0].ErrorCode)
}

// join makes the only member of a group.
func join(ctx context.Context, client *kgo.Client, group string) (member, error) {
	request := kmsg.NewPtrJoinGroupRequest()
	request.Group, request.ProtocolType = group, "consumer"
	request.SessionTimeoutMillis = int32(memberSession.Milliseconds())
	request.RebalanceTimeoutMillis = request.SessionTimeoutMillis
	protocol := kmsg.NewJoinGroupRequestProtocol()
	protocol.Name, protocol.Metadata = "range", make([]byte, 32)
	request.Protocols = append(request.Protocols, protocol)
	response, err := request.RequestWith(ctx, client)
	if err == nil && response.ErrorCode == kerr.MemberIDRequired.Code {
		request.MemberID = response.MemberID
		response, err = request.RequestWith(ctx, client)
	}
	if err == nil {
		err = kerr.ErrorForCode(response.ErrorCode)
	}
	if err != nil {
		return member{}, err
	}
	joined := member{response.MemberID, response.Generation}
	syncing := kmsg.NewPtrSyncGroupRequest()
	syncing.Group, syncing.MemberID, syncing.Generation = group, joined.id, joined.generation
	syncing.ProtocolType, syncing.Protocol = response.ProtocolType, response.Protocol
	assignment := kmsg.NewSyncGroupRequestGroupAssignment()
	assignment.MemberID, assignment.MemberAssignment = joined.id, make([]byte, 32)
	syncing.GroupAssignment = append(syncing.GroupAssignment, assignment)
	synced, err := syncing.RequestWith(ctx, client)
	if err == nil {
		err = kerr.ErrorForCode(synced.ErrorCode)
	}
	return joined, err
}
