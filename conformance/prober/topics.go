package main

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// strangerID is a topic id no broker gave out.
var strangerID = [16]byte{0xfe, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}

func pointer[T any](value T) *T { return &value }

func metadataRequest(version int16, topics ...string) *kmsg.MetadataRequest {
	request := kmsg.NewPtrMetadataRequest()
	request.Version = version
	for _, topic := range topics {
		request.Topics = append(request.Topics, kmsg.MetadataRequestTopic{Topic: pointer(topic)})
	}
	return request
}

func createRequest(version int16, topic string, partitions int32) *kmsg.CreateTopicsRequest {
	request := kmsg.NewPtrCreateTopicsRequest()
	request.Version = version
	request.TimeoutMillis = 10_000
	row := kmsg.NewCreateTopicsRequestTopic()
	row.Topic, row.NumPartitions, row.ReplicationFactor = topic, partitions, 1
	request.Topics = append(request.Topics, row)
	return request
}

// makeTopic creates a topic and waits until it can be written and read.
func (b *broker) makeTopic(topic string, partitions int32, configs map[string]string) [16]byte {
	request := createRequest(7, topic, partitions)
	for key, value := range configs {
		config := kmsg.CreateTopicsRequestTopicConfig{Name: key, Value: pointer(value)}
		request.Topics[0].Configs = append(request.Topics[0].Configs, config)
	}
	row := b.mustAsk(request).(*kmsg.CreateTopicsResponse).Topics[0]
	if row.ErrorCode != 0 {
		fatal(fmt.Errorf("create %s: %s", topic, errorName(row.ErrorCode)))
	}
	b.ids[row.TopicID] = topic
	b.awaitTopic(topic, partitions)
	return row.TopicID
}

// awaitTopic waits until every partition answers, which on Kafka is a moment after CreateTopics did.
func (b *broker) awaitTopic(topic string, partitions int32) {
	until(topic+" to be served", func() bool {
		meta := b.mustAsk(metadataRequest(12, topic)).(*kmsg.MetadataResponse).Topics[0]
		if meta.ErrorCode != 0 || len(meta.Partitions) != int(partitions) {
			return false
		}
		b.ids[meta.TopicID] = topic
		for _, partition := range meta.Partitions {
			request := listRequest(9, topic, partition.Partition, -1)
			answer := b.mustAsk(request).(*kmsg.ListOffsetsResponse)
			if answer.Topics[0].Partitions[0].ErrorCode != 0 {
				return false
			}
		}
		return true
	})
}

func (b *broker) awaitGone(topic string) {
	until(topic+" to be gone", func() bool {
		return b.mustAsk(metadataRequest(12, topic)).(*kmsg.MetadataResponse).Topics[0].ErrorCode == 3
	})
}

// pause lets a change of configs reach the broker: Kafka answers before it is in force, and nothing that
// can be asked says when.
func pause() { time.Sleep(100 * time.Millisecond) }

func until(what string, done func() bool) {
	deadline := time.Now().Add(30 * time.Second)
	for !done() {
		if time.Now().After(deadline) {
			fatal(fmt.Errorf("waited 30 s for %s", what))
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// shared makes a topic that several probes and versions only read; once.
func (b *broker) shared(topic string, partitions int32) [16]byte {
	for id, name := range b.ids {
		if name == topic {
			return id
		}
	}
	return b.makeTopic(topic, partitions, nil)
}
