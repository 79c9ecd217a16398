package main

import (
	"regexp"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Steps around the probes of consumer groups use these versions.
const (
	joinVersion = 5
	syncVersion = 3
)

var uuidAtEnd = regexp.MustCompile(`^(.*)-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// madeByBroker are the ids of members of the new protocol that leave it to the broker.
var madeByBroker = regexp.MustCompile(`^([A-Za-z0-9_-]{22}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$`)

// memberWord names the ids a broker gave out in the order in which a probe shows them.
func (b *broker) memberWord(id string) string {
	parts := uuidAtEnd.FindStringSubmatch(id)
	if madeByBroker.MatchString(id) {
		parts = []string{id, "made"}
	}
	if parts == nil {
		return strconv.Quote(id)
	}
	word, known := b.members[id]
	if !known {
		word = "M" + strconv.Itoa(len(b.members)+1)
		b.members[id] = word
	}
	return parts[1] + "-" + word
}

// another is a second connection to the same broker.
func (b *broker) another() *broker {
	other := *b
	other.conn = nil
	return &other
}

// coordinated waits until groups are served at all, which on Kafka takes a moment at first use.
func (b *broker) coordinated() {
	if b.groupsServed {
		return
	}
	until("a coordinator", func() bool {
		request := kmsg.NewPtrFindCoordinatorRequest()
		request.Version, request.CoordinatorKey = 0, "warm"
		if b.mustAsk(request).(*kmsg.FindCoordinatorResponse).ErrorCode != 0 {
			return false
		}
		for _, group := range []string{"warm", b.topic, ""} {
			fetch := kmsg.NewPtrOffsetFetchRequest()
			fetch.Version, fetch.Group, fetch.Topics = 5, group, nil
			if b.mustAsk(fetch).(*kmsg.OffsetFetchResponse).ErrorCode != 0 {
				return false
			}
		}
		return true
	})
	b.groupsServed = true
}

type member struct {
	id, instance string
	protocols    []string
	kind         string
	subscribes   []string
	session      int32
}

// subscription is what a consumer says of itself: version 0, topics, no user data.
func subscription(topics ...string) []byte {
	bytes := []byte{0, 0, 0, 0, 0, byte(len(topics))}
	for _, topic := range topics {
		bytes = append(append(bytes, 0, byte(len(topic))), topic...)
	}
	return append(bytes, 0xff, 0xff, 0xff, 0xff)
}

func (m member) join(version int16, group string) *kmsg.JoinGroupRequest {
	request := kmsg.NewPtrJoinGroupRequest()
	request.Version, request.Group, request.MemberID = version, group, m.id
	request.SessionTimeoutMillis, request.RebalanceTimeoutMillis = 10_000, 20_000
	if m.session != 0 {
		request.SessionTimeoutMillis = m.session
	}
	if m.instance != "" && version >= 5 {
		request.InstanceID = pointer(m.instance)
	}
	request.ProtocolType = "consumer"
	if m.kind != "" {
		request.ProtocolType = m.kind
	}
	if m.protocols == nil {
		m.protocols = []string{"range"}
	}
	for _, name := range m.protocols {
		row := kmsg.NewJoinGroupRequestProtocol()
		row.Name, row.Metadata = name, subscription(m.subscribes...)
		request.Protocols = append(request.Protocols, row)
	}
	return request
}

func (m member) sync(version int16, group string, generation int32, assigned ...string) *kmsg.SyncGroupRequest {
	request := kmsg.NewPtrSyncGroupRequest()
	request.Version, request.Group, request.MemberID, request.Generation = version, group, m.id, generation
	if m.instance != "" && version >= 3 {
		request.InstanceID = pointer(m.instance)
	}
	if version >= 5 {
		request.ProtocolType, request.Protocol = pointer("consumer"), pointer("range")
	}
	for i, id := range assigned {
		row := kmsg.NewSyncGroupRequestGroupAssignment()
		row.MemberID, row.MemberAssignment = id, []byte{9, byte(i + 1)}
		request.GroupAssignment = append(request.GroupAssignment, row)
	}
	return request
}

func (m member) heartbeat(version int16, group string, generation int32) *kmsg.HeartbeatRequest {
	request := kmsg.NewPtrHeartbeatRequest()
	request.Version, request.Group, request.MemberID, request.Generation = version, group, m.id, generation
	if m.instance != "" && version >= 3 {
		request.InstanceID = pointer(m.instance)
	}
	return request
}

// joins takes a member through the first join; alone in its group it is told its generation.
func (b *broker) joins(m *member, group string) int32 {
	for {
		answer := b.mustAsk(m.join(joinVersion, group)).(*kmsg.JoinGroupResponse)
		m.id = answer.MemberID
		if answer.ErrorCode != 79 {
			return answer.Generation
		}
	}
}

// alone makes a stable group of one member; its generation is 1.
func (b *broker) alone(group string, m member) member {
	b.coordinated()
	generation := b.joins(&m, group)
	b.mustAsk(m.sync(syncVersion, group, generation, m.id))
	return m
}

// pair makes a stable group of two members on two connections; its generation is 2.
func (b *broker) pair(group string, second member) (member, member, *broker) {
	first := b.alone(group, member{protocols: second.protocols, subscribes: second.subscribes})
	other := b.another()
	other.asks(&second, group)
	b.mustAsk(first.join(joinVersion, group))
	answer, err := other.receive(second.join(joinVersion, group))
	if err != nil {
		fatal(err)
	}
	second.id = answer.(*kmsg.JoinGroupResponse).MemberID
	b.mustAsk(first.sync(syncVersion, group, 2, first.id, second.id))
	other.mustAsk(second.sync(syncVersion, group, 2))
	return first, second, other
}

// asks sends the join of one more member of a stable group, and leaves it waiting there.
func (b *broker) asks(m *member, group string) {
	if m.instance == "" {
		answer := b.mustAsk(m.join(joinVersion, group)).(*kmsg.JoinGroupResponse)
		m.id = answer.MemberID
	}
	b.send(m.join(joinVersion, group))
	// Until the group knows of it.
	probe := b.another()
	until("the join of "+group, func() bool {
		request := kmsg.NewPtrDescribeGroupsRequest()
		request.Version, request.Groups = 0, []string{group}
		return probe.mustAsk(request).(*kmsg.DescribeGroupsResponse).Groups[0].State == "PreparingRebalance"
	})
	probe.hangUp()
}
