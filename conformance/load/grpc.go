package main

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"ottla/conformance/broker"
)

// onAll runs one call for each partition, at once, on one connection.
func onAll(address string, call func(context.Context, broker.BrokerClient, int32) (int, error)) (report, error) {
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return report{}, err
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	client := broker.NewBrokerClient(connection)
	type outcome struct {
		records int
		err     error
	}
	outcomes := make(chan outcome, partitions)
	began := time.Now()
	for partition := range int32(partitions) {
		go func() {
			records, err := call(ctx, client, partition)
			outcomes <- outcome{records, err}
		}()
	}
	told := report{}
	for range partitions {
		one := <-outcomes
		if one.err != nil {
			return report{}, one.err
		}
		told.Records += one.records
	}
	told.Seconds = time.Since(began).Seconds()
	return told, nil
}

func grpcIn(address, topic string, count int) (report, error) {
	each := count / partitions
	return onAll(address, func(ctx context.Context, client broker.BrokerClient, partition int32) (int, error) {
		calls, err := client.ProduceStream(ctx)
		if err != nil {
			return 0, err
		}
		go func() {
			payload := make([]byte, recordBytes)
			for range each {
				request := &broker.ProduceRequest{Topic: topic, Partition: partition, Payload: payload}
				if calls.Send(request) != nil {
					return // Recv tells why
				}
			}
			_ = calls.CloseSend()
		}()
		for answered := 0; ; answered++ {
			if _, err := calls.Recv(); errors.Is(err, io.EOF) {
				return answered, nil
			} else if err != nil {
				return 0, err
			}
		}
	})
}

func grpcOut(address, topic string) (report, error) {
	return onAll(address, func(ctx context.Context, client broker.BrokerClient, partition int32) (int, error) {
		start := int64(0)
		request := &broker.ConsumeRequest{Topic: topic, Partition: partition, Offset: &start, UntilEnd: true}
		calls, err := client.Consume(ctx, request)
		if err != nil {
			return 0, err
		}
		for records := 0; ; records++ {
			if _, err := calls.Recv(); errors.Is(err, io.EOF) {
				return records, nil
			} else if err != nil {
				return 0, err
			}
		}
	})
}
