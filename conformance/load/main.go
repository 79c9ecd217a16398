// Loads that are not made by ottla's own client: franz-go, to see that `ottla bench` does not flatter, and for groups;
// and a gRPC client generated from proto/broker.proto.
//
//	load franz-single HOST:PORT TOPIC RATE SECONDS   single records of 1 KiB at fixed times, in and out
//	load franz-volume HOST:PORT TOPIC MEBIBYTES      1 KiB records in large batches in, then out
//	load grpc-in HOST:PORT TOPIC MEBIBYTES           1 KiB records, a ProduceStream for each partition
//	load grpc-out HOST:PORT TOPIC                    a Consume for each partition, to its end
//	load group-commits HOST:PORT TOPIC GROUPS SECONDS   offsets stored by so many groups at once
//	load group-many HOST:PORT TOPIC GROUPS              groups with a member and an offset each, left so
//	load group-join HOST:PORT TOPIC ROUNDS PROTOCOL     a consumer joins: PROTOCOL is 0 (classic) or 1 (KIP-848)
//
// The topic exists and has 6 partitions. Prints one JSON object.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sort"
	"strconv"
	"sync"
	"time"
)

const (
	partitions  = 6
	recordBytes = 1024
	// patience bounds every wait.
	patience = 5 * time.Minute
)

// report is what a load tells.
type report struct {
	Records      int                `json:"records"`
	Seconds      float64            `json:"seconds"`
	Acknowledged map[string]float64 `json:"acknowledged,omitempty"`
	EndToEnd     map[string]float64 `json:"end_to_end,omitempty"`
}

func main() {
	told, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
	if err := json.NewEncoder(os.Stdout).Encode(told); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func run(words []string) (report, error) {
	var numbers []int
	for _, word := range words[min(3, len(words)):] {
		number, err := strconv.Atoi(word)
		if err != nil {
			return report{}, err
		}
		numbers = append(numbers, number)
	}
	switch {
	case len(words) == 5 && words[0] == "franz-single":
		return franzSingle(words[1], words[2], numbers[0], numbers[1])
	case len(words) == 4 && words[0] == "franz-volume":
		return franzVolume(words[1], words[2], numbers[0]<<20/recordBytes)
	case len(words) == 4 && words[0] == "grpc-in":
		return grpcIn(words[1], words[2], numbers[0]<<20/recordBytes)
	case len(words) == 3 && words[0] == "grpc-out":
		return grpcOut(words[1], words[2])
	case len(words) == 5 && words[0] == "group-commits":
		return groupCommits(words[1], words[2], numbers[0], numbers[1])
	case len(words) == 4 && words[0] == "group-many":
		return groupMany(words[1], words[2], numbers[0])
	case len(words) == 5 && words[0] == "group-join":
		return groupJoin(words[1], words[2], numbers[0], numbers[1] == 1)
	}
	return report{}, errors.New("the head of main.go says how it is called")
}

// latencies are kept as they come, from any goroutine.
type latencies struct {
	lock sync.Mutex
	all  []time.Duration
}

func (l *latencies) add(took time.Duration) {
	l.lock.Lock()
	l.all = append(l.all, took)
	l.lock.Unlock()
}

// quantiles are in milliseconds.
func (l *latencies) quantiles() map[string]float64 {
	if len(l.all) == 0 {
		return nil
	}
	sort.Slice(l.all, func(a, b int) bool { return l.all[a] < l.all[b] })
	at := func(part float64) float64 {
		place := min(int(part*float64(len(l.all))), len(l.all)-1)
		return l.all[place].Seconds() * 1000
	}
	return map[string]float64{"p50": at(0.5), "p99": at(0.99), "p99_9": at(0.999), "max": at(1)}
}
