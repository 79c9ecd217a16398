package main

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/IBM/sarama"
)

// A member of a group that counts what it reads, keeps what it owns and commits on demand.
type member struct {
	group   sarama.ConsumerGroup
	stop    context.CancelFunc
	done    sync.WaitGroup
	lock    sync.Mutex
	session sarama.ConsumerGroupSession
	owned   []int32
	read    int
}

func (h *here) member(group, topic, instance string) *member {
	c := config()
	c.Consumer.Group.InstanceId = instance
	within, stop := context.WithCancel(context.Background())
	m := &member{group: must(sarama.NewConsumerGroup(h.bootstrap, group, c)), stop: stop}
	m.done.Go(func() {
		for within.Err() == nil {
			if err := m.group.Consume(within, []string{topic}, m); err != nil && within.Err() == nil {
				must(0, err)
			}
		}
	})
	return m
}

func (m *member) Setup(session sarama.ConsumerGroupSession) error {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.session, m.owned = session, nil
	for _, partitions := range session.Claims() {
		m.owned = append(m.owned, partitions...)
	}
	return nil
}

func (m *member) Cleanup(sarama.ConsumerGroupSession) error {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.owned = nil
	return nil
}

func (m *member) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for record := range claim.Messages() {
		session.MarkMessage(record, "")
		m.lock.Lock()
		m.read++
		m.lock.Unlock()
	}
	return nil
}

func (m *member) has(owned, read int) bool {
	m.lock.Lock()
	defer m.lock.Unlock()
	return len(m.owned) == owned && m.read >= read
}

func (m *member) commit() {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.session.Commit()
}

func (m *member) close() {
	m.stop()
	m.done.Wait()
	must(0, m.group.Close())
}

func groups(h *here) {
	h.create("groups.a", 4, nil)
	producer := h.producer(func(*sarama.Config) {})
	produce := func(count int) {
		for number := range count {
			_, _, err := producer.SendMessage(message("groups.a", int32(number%4), number))
			must(0, err)
		}
	}
	produce(40)
	first := h.member("groups", "groups.a", "")
	until("40 records", func() bool { return first.has(4, 40) })
	first.commit()
	fmt.Println("first life ->", first.read, "records of", first.owned)
	second := h.member("groups", "groups.a", "")
	until("two members", func() bool { return first.has(2, 0) && second.has(2, 0) })
	both := append(slices.Clone(first.owned), second.owned...)
	slices.Sort(both)
	fmt.Println("two ->", both)
	second.close()
	until("one member", func() bool { return first.has(4, 0) })
	fmt.Println("after a leave ->", first.owned)
	first.close()
	produce(8)
	third := h.member("groups", "groups.a", "third")
	until("8 records", func() bool { return third.has(4, 8) })
	third.commit()
	fmt.Println("second life ->", third.read, "records")
	about := must(h.admin.DescribeConsumerGroups([]string{"groups"}))[0]
	for _, each := range about.Members {
		fmt.Println("described ->", about.State, about.ProtocolType, about.Protocol, *each.GroupInstanceId)
	}
	fmt.Println("delete a live group ->", outcome(h.admin.DeleteConsumerGroup("groups")))
	third.close() // A static member does not leave.
	fmt.Println("delete a group with an absent member ->", outcome(h.admin.DeleteConsumerGroup("groups")))
	removed := must(h.admin.RemoveMemberFromConsumerGroup("groups", []string{"third"}))
	fmt.Println("removed ->", outcome(removed.Err))
	committed(h)
}

func committed(h *here) {
	asked := map[string][]int32{"groups.a": {0, 1, 2, 3}}
	found := must(h.admin.ListConsumerGroupOffsets("groups", asked))
	for partition := range int32(4) {
		fmt.Printf("committed %d -> %d\n", partition, found.GetBlock("groups.a", partition).Offset)
	}
	fmt.Println("listed ->", must(h.admin.ListConsumerGroups())["groups"])
	fmt.Println("delete an offset ->", outcome(h.admin.DeleteConsumerGroupOffset("groups", "groups.a", 0)))
	fmt.Println("delete ->", outcome(h.admin.DeleteConsumerGroup("groups")))
	fmt.Println("delete again ->", outcome(h.admin.DeleteConsumerGroup("groups")))
}
