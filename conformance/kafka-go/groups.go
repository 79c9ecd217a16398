package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/segmentio/kafka-go"
)

func offsets(h *here) {
	h.create("offsets.a", 2)
	writer := h.writer("offsets.a", 0)
	for _, number := range []int{0, 1, 2, 5, 3, 4} {
		must(0, writer.WriteMessages(h.context, message(number)))
	}
	must(0, writer.Close())
	asked := []kafka.OffsetRequest{kafka.FirstOffsetOf(0), kafka.LastOffsetOf(0), kafka.FirstOffsetOf(1), kafka.LastOffsetOf(1)}
	for _, after := range []int64{-1, 0, 1, 2500, 5000, 5001} {
		asked = append(asked, kafka.TimeOffsetOf(0, time.UnixMilli(baseTime+after)))
	}
	for _, each := range asked {
		request := kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{"offsets.a": {each}}}
		found := must(h.client.ListOffsets(h.context, &request)).Topics["offsets.a"][0]
		for offset := range found.Offsets {
			fmt.Printf("partition %d at %d -> %d\n", each.Partition, shortened(each.Timestamp), offset)
		}
		if len(found.Offsets) == 0 {
			fmt.Printf("partition %d at %d -> %d to %d\n", each.Partition, shortened(each.Timestamp), found.FirstOffset, found.LastOffset)
		}
	}
	for _, m := range h.read("offsets.a", 0, 4, 2) {
		fmt.Println("from 4 ->", shown(m))
	}
}

func shortened(timestamp int64) int64 {
	if timestamp < 0 {
		return timestamp
	}
	return timestamp - baseTime
}

func (h *here) member(group string) *kafka.Reader {
	return kafka.NewReader(kafka.ReaderConfig{
		Brokers: []string{h.bootstrap}, GroupID: group, Topic: "groups.a", MaxWait: 100 * time.Millisecond,
		StartOffset: kafka.FirstOffset, HeartbeatInterval: 200 * time.Millisecond, SessionTimeout: 10 * time.Second,
		JoinGroupBackoff: 20 * time.Millisecond, GroupBalancers: []kafka.GroupBalancer{kafka.RangeGroupBalancer{}},
	})
}

// owned counts the partitions of each member of a stable group, and tells its state.
func (h *here) owned(group string) (string, []int) {
	found := must(h.client.DescribeGroups(h.context, &kafka.DescribeGroupsRequest{GroupIDs: []string{group}})).Groups[0]
	counts := []int{}
	for _, member := range found.Members {
		count := 0
		for _, topic := range member.MemberAssignments.Topics {
			count += len(topic.Partitions)
		}
		counts = append(counts, count)
	}
	return found.GroupState, counts
}

func groups(h *here) {
	h.create("groups.a", 4)
	produce := func(count int) {
		for partition := range 4 {
			writer := h.writer("groups.a", partition)
			for number := range count {
				must(0, writer.WriteMessages(h.context, message(number)))
			}
			must(0, writer.Close())
		}
	}
	consume := func(reader *kafka.Reader, count int) {
		for range count {
			m := must(reader.FetchMessage(h.context))
			must(0, reader.CommitMessages(h.context, m))
		}
	}
	balanced := func(want ...int) {
		until("a balanced group", func() bool {
			state, counts := h.owned("groups")
			return state == "Stable" && slices.Equal(counts, want)
		})
		fmt.Println("owned ->", want)
	}
	// Apache Kafka makes its topic of offsets now, and this client does not wait for it.
	until("a coordinator", func() bool {
		found, err := h.client.OffsetFetch(h.context, &kafka.OffsetFetchRequest{GroupID: "groups"})
		return err == nil && found.Error == nil
	})
	produce(5)
	first := h.member("groups")
	consume(first, 20)
	fmt.Println("first life -> 20 records")
	balanced(4)
	second := h.member("groups")
	balanced(2, 2)
	must(0, second.Close())
	balanced(4)
	must(0, first.Close())
	produce(2)
	third := h.member("groups")
	consume(third, 8)
	fmt.Println("second life -> 8 records")
	within, cancel := context.WithTimeout(h.context, 500*time.Millisecond)
	_, err := third.FetchMessage(within)
	cancel()
	fmt.Println("no more ->", err != nil)
	fmt.Println("delete a live group ->", h.deleteGroup())
	must(0, third.Close())
	committed(h)
}

func (h *here) deleteGroup() string {
	gone := must(h.client.DeleteGroups(h.context, &kafka.DeleteGroupsRequest{GroupIDs: []string{"groups"}}))
	return outcome(gone.Errors["groups"])
}

func committed(h *here) {
	asked := kafka.OffsetFetchRequest{GroupID: "groups", Topics: map[string][]int{"groups.a": {0, 1, 2, 3}}}
	for _, row := range must(h.client.OffsetFetch(h.context, &asked)).Topics["groups.a"] {
		fmt.Printf("committed %d -> %d\n", row.Partition, row.CommittedOffset)
	}
	for _, group := range must(h.client.ListGroups(h.context, &kafka.ListGroupsRequest{})).Groups {
		if group.GroupID == "groups" {
			fmt.Println("listed ->", group.ProtocolType)
		}
	}
	fmt.Println("delete ->", h.deleteGroup())
	fmt.Println("delete again ->", h.deleteGroup())
}
