// The flights program: lines in and out of ottla's gRPC API, with a client generated from proto/broker.proto.
//
//	flights produce HOST:PORT TOPIC FILE   every line of FILE through one ProduceStream; goes on where it was
//	                                       if the broker goes away and comes back
//	flights consume HOST:PORT TOPIC        partition 0 from its start to its end, a line a record
//	flights decode                         payloads of grpcurl's JSON on stdin, a line each
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"ottla/conformance/broker"
)

// patience is how long a broker may be away before produce gives up.
const patience = time.Minute

func main() {
	var err error
	switch arguments := os.Args[1:]; {
	case len(arguments) == 4 && arguments[0] == "produce":
		err = produce(arguments[1], arguments[2], arguments[3])
	case len(arguments) == 3 && arguments[0] == "consume":
		err = consume(arguments[1], arguments[2])
	case len(arguments) == 1 && arguments[0] == "decode":
		err = decode(os.Stdin, os.Stdout)
	default:
		err = errors.New("usage: flights produce HOST:PORT TOPIC FILE | consume HOST:PORT TOPIC | decode")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "flights:", err)
		os.Exit(1)
	}
}

func dial(address string) (*grpc.ClientConn, broker.BrokerClient, error) {
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, nil, err
	}
	return connection, broker.NewBrokerClient(connection), nil
}

func lines(file string) ([][]byte, error) {
	open, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer open.Close()
	var all [][]byte
	scanner := bufio.NewScanner(open)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		all = append(all, append([]byte(nil), scanner.Bytes()...))
	}
	return all, scanner.Err()
}

// produce sends all lines. acknowledged counts answers, whose offsets must be those of the lines: this is
// the topic's only producer. After a break it asks where the log ends: never before what was acknowledged.
func produce(address, topic, file string) error {
	all, err := lines(file)
	if err != nil {
		return err
	}
	acknowledged, breaks := int64(0), 0
	for acknowledged < int64(len(all)) {
		end, err := logEnd(address, topic)
		if err != nil {
			return err
		}
		if end < acknowledged {
			return fmt.Errorf("%d records were acknowledged, the log ends at %d", acknowledged, end)
		}
		acknowledged = end
		if err := stream(address, topic, all, &acknowledged); err != nil {
			if !gone(err) {
				return err
			}
			breaks++
		}
	}
	fmt.Printf("%d acknowledged, %d breaks\n", acknowledged, breaks)
	return nil
}

func gone(err error) bool {
	code := status.Code(err)
	return code == codes.Unavailable || code == codes.Internal || code == codes.Canceled || errors.Is(err, io.EOF)
}

// logEnd asks until the broker answers.
func logEnd(address, topic string) (int64, error) {
	connection, client, err := dial(address)
	if err != nil {
		return 0, err
	}
	defer connection.Close()
	within, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	answer, err := client.GetOffsets(within, &broker.GetOffsetsRequest{Topic: topic}, grpc.WaitForReady(true))
	if err != nil {
		return 0, err
	}
	return answer.Partitions[0].GetEndOffset(), nil
}

func stream(address, topic string, all [][]byte, acknowledged *int64) error {
	connection, client, err := dial(address)
	if err != nil {
		return err
	}
	defer connection.Close()
	within, cancel := context.WithCancel(context.Background())
	defer cancel()
	calls, err := client.ProduceStream(within)
	if err != nil {
		return err
	}
	go func(from int64) {
		for _, line := range all[from:] {
			if calls.Send(&broker.ProduceRequest{Topic: topic, Payload: line}) != nil {
				return // Recv tells why
			}
		}
		_ = calls.CloseSend()
	}(*acknowledged)
	for *acknowledged < int64(len(all)) {
		answer, err := calls.Recv()
		if err != nil {
			return err
		}
		if answer.GetOffset() != *acknowledged {
			return fmt.Errorf("line %d was given offset %d", *acknowledged, answer.GetOffset())
		}
		*acknowledged++
	}
	return nil
}

func consume(address, topic string) error {
	connection, client, err := dial(address)
	if err != nil {
		return err
	}
	defer connection.Close()
	start := int64(0)
	records, err := client.Consume(context.Background(), &broker.ConsumeRequest{Topic: topic, Offset: &start, UntilEnd: true})
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(os.Stdout, 1<<16)
	for {
		record, err := records.Recv()
		if errors.Is(err, io.EOF) {
			return out.Flush()
		}
		if err != nil {
			return err
		}
		out.Write(record.Payload)
		out.WriteByte('\n')
	}
}

func decode(from io.Reader, to io.Writer) error {
	out := bufio.NewWriterSize(to, 1<<16)
	records := json.NewDecoder(bufio.NewReaderSize(from, 1<<16))
	for {
		var record struct{ Payload []byte }
		if err := records.Decode(&record); errors.Is(err, io.EOF) {
			return out.Flush()
		} else if err != nil {
			return err
		}
		out.Write(record.Payload)
		out.WriteByte('\n')
	}
}
