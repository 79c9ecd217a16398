// The Go client of the gRPC suite: does the scenario and prints what it sees, a line each.
//
//	go HOST:PORT TOPIC    TOPIC must not exist yet
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"ottla/conformance/broker"
)

// patience bounds the whole scenario.
const patience = time.Minute

const time0 = int64(1_700_000_000_000)

type scenario struct {
	ctx    context.Context
	client broker.BrokerClient
	health grpc_health_v1.HealthClient
	topic  string
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: go HOST:PORT TOPIC")
		os.Exit(2)
	}
	connection, err := grpc.NewClient(os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s := scenario{ctx, broker.NewBrokerClient(connection), grpc_health_v1.NewHealthClient(connection), os.Args[2]}
	s.topics()
	s.produce()
	s.produceStream()
	s.consume()
	s.consumers()
	s.offsets()
	s.end()
}

// say prints one observation; the name of the topic is each run's own.
func (s *scenario) say(what string, seen string) {
	fmt.Println(strings.ReplaceAll(what+" -> "+seen, s.topic, "TOPIC"))
}

// seen is what text tells of an answer, or the error: its code, its reason and the facts asked for.
func seen(text func() string, err error, facts ...string) string {
	if err == nil {
		return text()
	}
	told, ok := status.FromError(err)
	if !ok {
		return "no status: " + err.Error()
	}
	words := []string{codeName(told)}
	for _, detail := range told.Details() {
		info, ok := detail.(*errdetails.ErrorInfo)
		if !ok {
			continue
		}
		words = append(words, info.Domain+"/"+info.Reason)
		for _, fact := range facts {
			words = append(words, fact+"="+info.Metadata[fact])
		}
	}
	return strings.Join(words, " ")
}

// codeName is the name as the specification of gRPC writes it.
func codeName(told *status.Status) string {
	var name bytes.Buffer
	for index, letter := range told.Code().String() {
		if index > 0 && letter >= 'A' && letter <= 'Z' {
			name.WriteByte('_')
		}
		name.WriteRune(letter)
	}
	return strings.ToUpper(name.String())
}

func number[T int32 | int64](value *T) string {
	if value == nil {
		return "absent"
	}
	return strconv.FormatInt(int64(*value), 10)
}

func text(value []byte) string {
	if value == nil {
		return "absent"
	}
	return strconv.Quote(string(value))
}

func (s *scenario) topics() {
	fmt.Println("# topics")
	for _, request := range []*broker.CreateTopicRequest{
		{Topic: s.topic, Partitions: proto.Int32(3), Configs: map[string]string{"segment.bytes": "1048576"}},
		{Topic: s.topic, Partitions: proto.Int32(3)},
		{Topic: ".."},
		{Topic: "a/b"},
		{Topic: s.topic + "-new", Partitions: proto.Int32(0)},
		{Topic: s.topic + "-new", Configs: map[string]string{"segment.byte": "1"}},
	} {
		made, err := s.client.CreateTopic(s.ctx, request)
		s.say("CreateTopic "+request.Topic+" "+number(request.Partitions), seen(func() string {
			return fmt.Sprintf("%s, %s partitions, id of %d characters", made.Topic, number(made.Partitions),
				len(made.TopicId))
		}, err, "topic"))
	}
	for _, partitions := range []int32{4, 4} {
		grown, err := s.client.AddPartitions(s.ctx, &broker.AddPartitionsRequest{
			Topic: s.topic, Partitions: partitions})
		s.say(fmt.Sprintf("AddPartitions %d", partitions), seen(func() string {
			return number(grown.Partitions)
		}, err, "current_partitions"))
	}
	listed, err := s.client.ListTopics(s.ctx, &broker.ListTopicsRequest{})
	s.say("ListTopics", seen(func() string {
		for _, topic := range listed.Topics {
			if topic.Topic == s.topic {
				return topic.Topic + " " + number(topic.Partitions)
			}
		}
		return "not there"
	}, err))
	s.describe()
}

func (s *scenario) describe() {
	told, err := s.client.DescribeTopic(s.ctx, &broker.DescribeTopicRequest{Topic: s.topic})
	s.say("DescribeTopic", seen(func() string {
		var words []string
		for _, partition := range told.Partitions {
			words = append(words, fmt.Sprintf("%s: %s to %s in %s", number(partition.Partition),
				number(partition.StartOffset), number(partition.EndOffset), number(partition.Segments)))
		}
		return fmt.Sprintf("%s, segment.bytes %s", strings.Join(words, "; "), told.Configs["segment.bytes"])
	}, err, "topic"))
}

func (s *scenario) produceOne(what string, request *broker.ProduceRequest, facts ...string) {
	answer, err := s.client.Produce(s.ctx, request)
	s.say("Produce "+what, seen(func() string {
		return fmt.Sprintf("partition %s offset %s time %s", number(answer.Partition), number(answer.Offset),
			shownTime(answer.TimestampMs))
	}, err, facts...))
}

// shownTime hides the broker's own clock.
func shownTime(ms *int64) string {
	if ms != nil && *ms > time0+1_000_000_000 {
		return "NOW"
	}
	return number(ms)
}

func (s *scenario) produce() {
	fmt.Println("# produce")
	s.produceOne("first", &broker.ProduceRequest{Topic: s.topic, Payload: []byte("first")})
	s.produceOne("whole", &broker.ProduceRequest{
		Topic: s.topic, Payload: []byte("second"), Key: []byte("key"), TimestampMs: proto.Int64(time0),
		Headers: []*broker.Header{{Key: "trace", Value: []byte("abc")}, {Key: "empty", Value: []byte{}},
			{Key: "none"}}})
	s.produceOne("empty", &broker.ProduceRequest{Topic: s.topic, Key: []byte{}, TimestampMs: proto.Int64(0)})
	for _, key := range []string{"a", "b", "order-17"} {
		s.produceOne("chosen "+key, &broker.ProduceRequest{Topic: s.topic, Partition: -1, Key: []byte(key)})
	}
	s.produceOne("nowhere", &broker.ProduceRequest{Topic: s.topic + "-nowhere"}, "topic")
	s.produceOne("partition 9", &broker.ProduceRequest{Topic: s.topic, Partition: 9}, "partition", "partitions")
	s.produceOne("partition -2", &broker.ProduceRequest{Topic: s.topic, Partition: -2}, "partition")
	s.produceOne("time -1", &broker.ProduceRequest{Topic: s.topic, TimestampMs: proto.Int64(-1)}, "timestamp_ms")
	s.produceOne("1048588 bytes", &broker.ProduceRequest{Topic: s.topic, Payload: make([]byte, 1048588)},
		"limit_bytes")
	s.produceOne("2000000 bytes", &broker.ProduceRequest{Topic: s.topic, Payload: make([]byte, 2000000)})
}

func (s *scenario) produceStream() {
	fmt.Println("# produce stream")
	var requests []*broker.ProduceRequest
	for index := range 1000 {
		requests = append(requests, &broker.ProduceRequest{
			Topic: s.topic, Partition: 1 + int32(index%2), Payload: []byte(strconv.Itoa(index))})
	}
	s.stream("1000", requests)
	s.stream("2 and a bad one", []*broker.ProduceRequest{
		{Topic: s.topic, Partition: 3, Payload: []byte("x")},
		{Topic: s.topic, Partition: 3, Payload: []byte("y")},
		{Topic: s.topic + "-nowhere"},
		{Topic: s.topic, Partition: 3, Payload: []byte("never")},
	})
	s.describe()
}

// stream sends all requests while answers are read, and tells how many came in which order.
func (s *scenario) stream(what string, requests []*broker.ProduceRequest) {
	stream, err := s.client.ProduceStream(s.ctx)
	if err != nil {
		s.say("ProduceStream "+what, seen(nil, err))
		return
	}
	go func() {
		for _, request := range requests {
			if stream.Send(request) != nil {
				return
			}
		}
		_ = stream.CloseSend()
	}()
	next := map[int32]int64{}
	count := 0
	order := "in order"
	for {
		answer, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			err = nil
		}
		if answer == nil {
			s.say("ProduceStream "+what, fmt.Sprintf("%d answers %s, then %s", count, order,
				seen(func() string { return "the end" }, err, "topic")))
			return
		}
		partition, offset := answer.GetPartition(), answer.GetOffset()
		expected, begun := next[partition]
		if begun && offset != expected || partition != requests[count].Partition {
			order = "out of order"
		}
		next[partition] = offset + 1
		count++
	}
}

// records tells all that a Consume gives, up to its end.
func (s *scenario) records(what string, request *broker.ConsumeRequest, facts ...string) {
	request.Topic = s.topic
	stream, err := s.client.Consume(s.ctx, request)
	if err != nil {
		s.say("Consume "+what, seen(nil, err, facts...))
		return
	}
	for {
		record, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			err = nil
		}
		if record == nil {
			s.say("Consume "+what, seen(func() string { return "the end" }, err, facts...))
			return
		}
		s.say("Consume "+what, shown(record))
	}
}

func shown(record *broker.Record) string {
	words := fmt.Sprintf("%s-%s@%s time %s key %s payload %s", record.Topic, number(record.Partition),
		number(record.Offset), shownTime(record.TimestampMs), text(record.Key), text(record.Payload))
	for _, header := range record.Headers {
		words += " " + header.Key + ":" + text(header.Value)
	}
	return words
}

func (s *scenario) consume() {
	fmt.Println("# consume")
	s.records("all", &broker.ConsumeRequest{Offset: proto.Int64(0), UntilEnd: true})
	s.records("from 1, one", &broker.ConsumeRequest{Offset: proto.Int64(1), MaxMessages: proto.Int64(1)})
	s.records("from 2, 50 ms", &broker.ConsumeRequest{Offset: proto.Int64(2), MaxWaitMs: proto.Int64(50)})
	s.records("from the end", &broker.ConsumeRequest{Partition: 1, Offset: proto.Int64(501), UntilEnd: true})
	s.records("beyond the end", &broker.ConsumeRequest{Partition: 1, Offset: proto.Int64(502)},
		"first_offset", "last_offset", "end_offset")
	s.records("from -1", &broker.ConsumeRequest{Offset: proto.Int64(-1)}, "offset")
	s.records("partition 9", &broker.ConsumeRequest{Partition: 9}, "partition")
	s.follow()
}

// follow begins at the end of the log and sees what is written then.
func (s *scenario) follow() {
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	stream, err := s.client.Consume(ctx, &broker.ConsumeRequest{Topic: s.topic, Partition: 3, Offset: proto.Int64(2)})
	if err != nil {
		s.say("follow", seen(nil, err))
		return
	}
	// The answer's head says that the stream has begun.
	if _, err := stream.Header(); err != nil {
		s.say("follow", seen(nil, err))
		return
	}
	for _, payload := range []string{"new", "newer"} {
		s.produceOne(payload, &broker.ProduceRequest{Topic: s.topic, Partition: 3, Payload: []byte(payload)})
		record, err := stream.Recv()
		s.say("follow", seen(func() string { return shown(record) }, err))
	}
}

func (s *scenario) consumers() {
	fmt.Println("# consumers")
	consumer := "consumer-of-" + s.topic
	as := func(most int64) *broker.ConsumeRequest {
		return &broker.ConsumeRequest{Partition: 1, Consumer: consumer, MaxMessages: proto.Int64(most)}
	}
	s.records("two", as(2))
	s.records("two more", as(2))
	exact := as(1)
	exact.AutoAdvance = proto.Bool(false)
	s.records("without advance", exact)
	s.records("without advance", exact)
	for _, offset := range []int64{0, -1, 502, 400} {
		stored, err := s.client.CommitOffset(s.ctx, &broker.CommitOffsetRequest{
			Consumer: consumer, Topic: s.topic, Partition: 1, Offset: offset})
		s.say(fmt.Sprintf("CommitOffset %d", offset), seen(func() string { return number(stored.Offset) }, err,
			"first_offset", "last_offset"))
	}
	s.records("after the commit", as(1))
	s.seek("offset 300", &broker.SeekRequest{To: &broker.SeekRequest_Offset{Offset: 300}})
	s.records("after the seek", as(1))
	s.seek("start", &broker.SeekRequest{To: &broker.SeekRequest_Start{Start: true}})
	s.seek("end", &broker.SeekRequest{To: &broker.SeekRequest_End{End: true}})
	s.seek("time 0", &broker.SeekRequest{To: &broker.SeekRequest_TimestampMs{TimestampMs: 0}})
	s.seek("offset 502", &broker.SeekRequest{To: &broker.SeekRequest_Offset{Offset: 502}}, "end_offset")
	s.seek("nowhere", &broker.SeekRequest{})
}

func (s *scenario) seek(what string, request *broker.SeekRequest, facts ...string) {
	request.Consumer, request.Topic, request.Partition = "consumer-of-"+s.topic, s.topic, 1
	moved, err := s.client.Seek(s.ctx, request)
	s.say("Seek "+what, seen(func() string { return number(moved.Offset) }, err, facts...))
}

func (s *scenario) offsets() {
	fmt.Println("# offsets")
	for _, request := range []*broker.GetOffsetsRequest{
		{},
		{Partition: proto.Int32(0), TimestampMs: proto.Int64(time0 + 1)},
		{Partition: proto.Int32(0), TimestampMs: proto.Int64(1 << 60)},
		{Partition: proto.Int32(9)},
	} {
		request.Topic = s.topic
		found, err := s.client.GetOffsets(s.ctx, request)
		s.say(fmt.Sprintf("GetOffsets %s %s", number(request.Partition), number(request.TimestampMs)),
			seen(func() string {
				var words []string
				for _, partition := range found.Partitions {
					words = append(words, fmt.Sprintf("%s: %s to %s at %s", number(partition.Partition),
						number(partition.StartOffset), number(partition.EndOffset),
						number(partition.OffsetAtTimestamp)))
				}
				return strings.Join(words, "; ")
			}, err, "partition"))
	}
}

func (s *scenario) end() {
	fmt.Println("# end")
	for _, service := range []string{"", "broker.Broker"} {
		answer, err := s.health.Check(s.ctx, &grpc_health_v1.HealthCheckRequest{Service: service})
		s.say("Check "+strconv.Quote(service), seen(func() string { return answer.Status.String() }, err))
	}
	for range 2 {
		deleted, err := s.client.DeleteTopic(s.ctx, &broker.DeleteTopicRequest{Topic: s.topic})
		s.say("DeleteTopic", seen(func() string { return deleted.Topic }, err, "topic"))
	}
	s.describe()
}
