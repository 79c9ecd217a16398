package main

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func fetchRequest(version int16, topic string, id [16]byte, offset int64) *kmsg.FetchRequest {
	request := kmsg.NewPtrFetchRequest()
	request.Version, request.ReplicaID = version, -1
	request.MaxWaitMillis, request.MinBytes, request.MaxBytes = 0, 1, 1<<20
	request.SessionID, request.SessionEpoch = 0, -1
	request.Topics = []kmsg.FetchRequestTopic{{Topic: topic, TopicID: id,
		Partitions: []kmsg.FetchRequestTopicPartition{fetchRow(0, offset)}}}
	return request
}

func fetchRow(partition int32, offset int64) kmsg.FetchRequestTopicPartition {
	row := kmsg.NewFetchRequestTopicPartition()
	row.Partition, row.FetchOffset, row.PartitionMaxBytes = partition, offset, 1<<20
	row.CurrentLeaderEpoch, row.LastFetchedEpoch, row.LogStartOffset = -1, -1, -1
	return row
}

const fetchedTopic = "fetch.shared"

// fetched is a topic of two partitions: the first has batches at 0..1, 2, 3..5 and 6, the second one at 0.
func (b *broker) fetched() [16]byte {
	for id, name := range b.ids {
		if name == fetchedTopic {
			return id
		}
	}
	id := b.makeTopic(fetchedTopic, 2, nil)
	b.produce(fetchedTopic, id, plain("a", "b"))
	b.produce(fetchedTopic, id, plain("c"))
	b.produce(fetchedTopic, id, with(plain("d", "e", "f"), codec(kgo.CodecGzip)))
	b.produce(fetchedTopic, id, plain("g"))
	b.mustAsk(produceRequest(9, -1, fetchedTopic, id, 1, plain("other").bytes()))
	return id
}

func fetching(offset int64, change func(b *broker, r *kmsg.FetchRequest)) func(*broker, int16) string {
	return func(b *broker, v int16) string {
		request := fetchRequest(v, fetchedTopic, b.fetched(), offset)
		change(b, request)
		return b.show(request)
	}
}

// since is a probe of a field that came with a version.
func since(from int16, run func(*broker, int16) string) func(*broker, int16) string {
	return func(b *broker, v int16) string {
		if v < from {
			return skipped
		}
		return run(b, v)
	}
}

func sameFetch(*broker, *kmsg.FetchRequest) {}

func fetchPart(r *kmsg.FetchRequest) *kmsg.FetchRequestTopicPartition {
	return &r.Topics[0].Partitions[0]
}

var fetchProbes = []probe{
	{"from-start", fetching(0, sameFetch)},
	{"mid-batch", fetching(4, sameFetch)},
	{"last", fetching(6, sameFetch)},
	{"at-end", fetching(7, sameFetch)},
	{"beyond-end", fetching(8, sameFetch)},
	{"far-beyond", fetching(1<<63-1, sameFetch)},
	{"negative", fetching(-1, sameFetch)},
	{"committed", fetching(0, func(_ *broker, r *kmsg.FetchRequest) { r.IsolationLevel = 1 })},
	{"partition-limit", fetching(0, func(_ *broker, r *kmsg.FetchRequest) { fetchPart(r).PartitionMaxBytes = 1 })},
	{"partition-limit-zero", fetching(0, func(_ *broker, r *kmsg.FetchRequest) { fetchPart(r).PartitionMaxBytes = 0 })},
	{"response-limit", fetching(0, func(_ *broker, r *kmsg.FetchRequest) { r.MaxBytes = 1 })},
	{"two-partitions", fetching(5, func(_ *broker, r *kmsg.FetchRequest) {
		r.Topics[0].Partitions = append(r.Topics[0].Partitions, fetchRow(1, 0))
	})},
	{"two-partitions-limit", fetching(0, func(_ *broker, r *kmsg.FetchRequest) {
		r.MaxBytes = 1
		r.Topics[0].Partitions = append(r.Topics[0].Partitions, fetchRow(1, 0))
	})},
	{"topic-unknown", fetching(0, func(_ *broker, r *kmsg.FetchRequest) {
		r.Topics[0].Topic, r.Topics[0].TopicID = "probe.absent", strangerID
	})},
	{"topic-invalid", fetching(0, func(_ *broker, r *kmsg.FetchRequest) {
		r.Topics[0].Topic, r.Topics[0].TopicID = "..", [16]byte{}
	})},
	{"partition-99", fetching(0, func(_ *broker, r *kmsg.FetchRequest) { fetchPart(r).Partition = 99 })},
	{"no-topics", fetching(0, func(_ *broker, r *kmsg.FetchRequest) { r.Topics = r.Topics[:0] })},
	{"epoch-right", since(9, fetching(0, func(b *broker, r *kmsg.FetchRequest) { fetchPart(r).CurrentLeaderEpoch = b.leaderEpoch }))},
	{"epoch-future", since(9, fetching(0, func(b *broker, r *kmsg.FetchRequest) { fetchPart(r).CurrentLeaderEpoch = b.leaderEpoch + 3 }))},
	{"fetched-epoch-right", since(12, fetching(2, func(b *broker, r *kmsg.FetchRequest) { fetchPart(r).LastFetchedEpoch = b.leaderEpoch }))},
	{"zstd", fetchZstd},
	{"waits", fetchWaits},
	{"min-bytes-waits", fetchMinBytes},
	{"woken", fetchWoken},
	{"session", since(7, fetchSession)},
	{"session-limits", since(7, fetchSessionForget)},
	{"session-unknown", since(7, fetching(0, func(_ *broker, r *kmsg.FetchRequest) { r.SessionID, r.SessionEpoch = 999, 1 }))},
	{"session-unknown-close", since(7, fetching(0, func(_ *broker, r *kmsg.FetchRequest) { r.SessionID, r.SessionEpoch = 999, -1 }))},
	{"session-wrong-epoch", since(7, fetchSessionEpoch)},
	{"session-close", since(7, fetchSessionClose)},
	{"session-error-row", since(7, fetchSessionErrors)},
	{"session-crosses-12-13", since(12, fetchSessionCrossing)},
}

func fetchZstd(b *broker, v int16) string {
	id := b.makeTopic(b.topic, 1, nil)
	b.produce(b.topic, id, with(plain("one"), codec(kgo.CodecZstd)))
	return b.show(fetchRequest(v, b.topic, id, 0))
}

// lasted says whether an answer took at least the wait, without naming the time.
func (b *broker) lasted(wait time.Duration, request kmsg.Request) string {
	start := time.Now()
	text := b.show(request)
	if took := time.Since(start); took < wait {
		return "at once " + text
	}
	return "after the wait " + text
}

func fetchWaits(b *broker, v int16) string {
	request := fetchRequest(v, fetchedTopic, b.fetched(), 7)
	request.MaxWaitMillis = 60
	return b.lasted(55*time.Millisecond, request)
}

func fetchMinBytes(b *broker, v int16) string {
	request := fetchRequest(v, fetchedTopic, b.fetched(), 6)
	request.MaxWaitMillis, request.MinBytes = 60, 10_000
	return b.lasted(55*time.Millisecond, request)
}

// fetchWoken waits at the end of the log for what a second connection produces.
func fetchWoken(b *broker, v int16) string {
	id := b.makeTopic(b.topic, 1, nil)
	request := fetchRequest(v, b.topic, id, 0)
	request.MaxWaitMillis = 10_000
	b.send(request)
	other := &broker{address: b.address, ids: b.ids}
	other.produce(b.topic, id, plain("one"))
	other.hangUp()
	start := time.Now()
	answer, err := b.receive(request)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("long before its time %t %s", time.Since(start) < 5*time.Second, b.render(answer))
}

// A session is a fetch session of one connection, in one version.
type session struct {
	b       *broker
	request *kmsg.FetchRequest
}

func openSession(b *broker, v int16, topic string, id [16]byte, partitions int32, offset int64) (*session, string) {
	request := fetchRequest(v, topic, id, offset)
	request.Topics[0].Partitions = nil
	for partition := range partitions {
		request.Topics[0].Partitions = append(request.Topics[0].Partitions, fetchRow(partition, offset))
	}
	request.SessionEpoch = 0
	answer, err := b.ask(request)
	if err != nil {
		return &session{b, request}, err.Error()
	}
	request.SessionID = answer.(*kmsg.FetchResponse).SessionID
	request.Topics = []kmsg.FetchRequestTopic{}
	return &session{b, request}, b.render(answer)
}

// next sends the following epoch with the given change only.
func (s *session) next(change func(r *kmsg.FetchRequest)) string {
	s.request.SessionEpoch++
	s.request.Topics = []kmsg.FetchRequestTopic{}
	s.request.ForgottenTopics = []kmsg.FetchRequestForgottenTopic{}
	change(s.request)
	return " then " + s.b.show(s.request)
}

func nothing(*kmsg.FetchRequest) {}

func partitionsOf(topic string, id [16]byte, rows ...kmsg.FetchRequestTopicPartition) func(*kmsg.FetchRequest) {
	return func(r *kmsg.FetchRequest) {
		r.Topics = []kmsg.FetchRequestTopic{{Topic: topic, TopicID: id, Partitions: rows}}
	}
}

func fetchSession(b *broker, v int16) string {
	id := b.makeTopic(b.topic, 3, nil)
	s, text := openSession(b, v, b.topic, id, 3, 0)
	text += s.next(nothing)
	b.mustAsk(produceRequest(9, -1, b.topic, id, 1, plain("one").bytes()))
	text += s.next(nothing)                                   // only partition 1
	text += s.next(nothing)                                   // again: it was not moved on
	text += s.next(partitionsOf(b.topic, id, fetchRow(1, 1))) // moved on: nothing new
	b.mustAsk(produceRequest(9, -1, b.topic, id, 2, plain("two").bytes()))
	return text + s.next(partitionsOf(b.topic, id, fetchRow(0, 0)))
}

func fetchSessionForget(b *broker, v int16) string {
	id := b.makeTopic(b.topic, 2, nil)
	s, text := openSession(b, v, b.topic, id, 2, 0)
	b.mustAsk(produceRequest(9, -1, b.topic, id, 0, plain("one").bytes()))
	b.mustAsk(produceRequest(9, -1, b.topic, id, 1, plain("two").bytes()))
	text += s.next(func(r *kmsg.FetchRequest) {
		r.ForgottenTopics = []kmsg.FetchRequestForgottenTopic{{Topic: b.topic, TopicID: id, Partitions: []int32{0}}}
	})
	return text + s.next(partitionsOf(b.topic, id, fetchRow(0, 0), fetchRow(1, 1)))
}

func fetchSessionEpoch(b *broker, v int16) string {
	s, text := openSession(b, v, fetchedTopic, b.fetched(), 1, 7)
	s.request.SessionEpoch = 5
	return text + s.next(nothing)
}

func fetchSessionClose(b *broker, v int16) string {
	id := b.fetched()
	s, text := openSession(b, v, fetchedTopic, id, 1, 7)
	known := s.request.SessionID
	s.request.SessionEpoch = -2 // next makes it -1: close, and fetch without a session
	text += s.next(partitionsOf(fetchedTopic, id, fetchRow(0, 6)))
	s.request.SessionID, s.request.SessionEpoch = known, 0
	return text + s.next(nothing)
}

func fetchSessionErrors(b *broker, v int16) string {
	id := b.fetched()
	s, text := openSession(b, v, fetchedTopic, id, 1, 7)
	text += s.next(partitionsOf(fetchedTopic, id, fetchRow(99, 0), fetchRow(0, 100)))
	return text + s.next(nothing)
}

func fetchSessionCrossing(b *broker, v int16) string {
	id := b.fetched()
	s, text := openSession(b, v, fetchedTopic, id, 1, 7)
	s.request.Version = 12
	if v == 12 {
		s.request.Version = 13
	}
	return text + s.next(partitionsOf(fetchedTopic, id, fetchRow(0, 6)))
}
