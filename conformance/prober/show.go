package main

import (
	"fmt"
	"reflect"
	"sort"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// hidden fields say nothing that two brokers could agree on. LogStartOffset and the like are shown.
var hidden = map[string]bool{
	"Version": true, "ThrottleMillis": true, "Host": true, "Port": true,
	"SupportedFeatures": true, "FinalizedFeaturesEpoch": true, "FinalizedFeatures": true,
	"ZkMigrationReady": true, "Documentation": true, "OldStyleOffsets": true, "ConfigErrorCode": true,
}

// tagged fields are shown only when they carry something.
var tagged = map[string]bool{
	"CurrentLeader": true, "DivergingEpoch": true, "SnapshotID": true,
}

var nodeFields = map[string]bool{
	"NodeID": true, "Leader": true, "LeaderID": true, "ControllerID": true, "BrokerID": true,
	"Replicas": true, "ReplicaID": true, "ISR": true, "OfflineReplicas": true, "PreferredReadReplica": true,
}

// topicConfigs are the keys whose defaults are the same on both brokers.
var topicConfigs = map[string]bool{
	"cleanup.policy": true, "compression.type": true, "delete.retention.ms": true,
	"file.delete.delay.ms": true, "flush.messages": true, "flush.ms": true,
	"index.interval.bytes": true, "max.compaction.lag.ms": true, "max.message.bytes": true,
	"message.timestamp.after.max.ms": true, "message.timestamp.before.max.ms": true,
	"message.timestamp.type": true, "min.cleanable.dirty.ratio": true,
	"min.compaction.lag.ms": true, "preallocate": true, "retention.bytes": true,
	"segment.bytes": true, "segment.index.bytes": true,
	"segment.jitter.ms": true, "segment.ms": true, "unclean.leader.election.enable": true,
}

// served are the API keys of the table in main.go.
var served = map[int16]bool{}

// render prints every field of a response, one line, normalized.
func (b *broker) render(response kmsg.Response) string {
	return b.value("", reflect.ValueOf(response).Elem())
}

func (b *broker) value(name string, v reflect.Value) string {
	if text, done := b.named(name, v); done {
		return text
	}
	switch v.Kind() {
	case reflect.Ptr:
		if v.IsNil() {
			return "null"
		}
		return b.value(name, v.Elem())
	case reflect.Struct:
		return b.fields(v)
	case reflect.Slice:
		return b.list(name, v)
	case reflect.String:
		return strconv.Quote(v.String())
	default:
		return fmt.Sprint(v.Interface())
	}
}

// named handles the fields that are known by name.
func (b *broker) named(name string, v reflect.Value) (string, bool) {
	switch {
	case name == "ErrorCode":
		return errorName(int16(v.Int())), true
	case name == "MemberID" && v.Kind() == reflect.Ptr:
		if v.IsNil() {
			return "null", true
		}
		return b.memberWord(v.Elem().String()), true
	case name == "MemberEpoch", name == "GroupEpoch", name == "AssignmentEpoch":
		return signWord(v.Int()), true
	case name == "MemberID", name == "LeaderID" && v.Kind() == reflect.String:
		return b.memberWord(v.String()), true
	case name == "ClusterID":
		return b.clusterWord(v), true
	case nodeFields[name] && v.Kind() == reflect.Int32:
		return b.nodeWord(int32(v.Int())), true
	case name == "LeaderEpoch" || name == "Epoch":
		return b.epochWord(int32(v.Int())), true
	case name == "ProducerID":
		return producerWord(v.Int()), true
	case name == "SessionID", name == "LogAppendTime":
		return signWord(v.Int()), true
	case name == "TopicID":
		return b.idWord(v.Interface().([16]byte)), true
	case name == "RecordBatches":
		return b.batches(v.Bytes()), true
	}
	return "", false
}

// reflectOf is for a value that is no field.
func reflectOf[T any](value T) reflect.Value { return reflect.ValueOf(&value).Elem() }

func (b *broker) fields(v reflect.Value) string {
	var parts []string
	for i := 0; i < v.NumField(); i++ {
		name := v.Type().Field(i).Name
		if hidden[name] || unsaid(name, v, v.Field(i)) {
			continue
		}
		if name == "UnknownTags" {
			tags := v.Field(i).Addr().Interface().(*kmsg.Tags)
			if tags.Len() > 0 {
				parts = append(parts, fmt.Sprintf("UnknownTags=%d", tags.Len()))
			}
			continue
		}
		if name == "Epoch" && v.Type().Name() == "ConsumerGroupDescribeResponseGroup" {
			name = "GroupEpoch" // no epoch of a leader
		}
		parts = append(parts, name+"="+b.value(name, v.Field(i)))
	}
	return "{" + strings.Join(parts, " ") + "}"
}

// unsaid are the fields without a claim in this row: an error's wording is each broker's own, nobody reads
// a log start beside an error, a tagged field at its default is not sent, and the segment size is Kafka's by
// configuration but ottla's by default.
func unsaid(name string, row, field reflect.Value) bool {
	code := row.FieldByName("ErrorCode")
	failed := code.IsValid() && code.Int() != 0
	switch {
	case name == "ErrorMessage":
		return failed || !code.IsValid() || field.IsNil() || field.Elem().String() == ""
	case name == "LogStartOffset":
		return failed && row.Type().Name() == "ProduceResponseTopicPartition"
	case name == "Source", name == "ConfigSynonyms":
		return row.FieldByName("Name").String() == "segment.bytes"
	case name == "Brokers":
		return field.IsNil()
	}
	return tagged[name] && empty(field)
}

func empty(tag reflect.Value) bool {
	for i := 0; i < tag.NumField(); i++ {
		if number := tag.Field(i); number.CanInt() && number.Int() != -1 {
			return false
		}
	}
	return true
}

// list prints rows sorted: neither broker promises an order of topics, keys or configs.
func (b *broker) list(name string, v reflect.Value) string {
	if v.IsNil() {
		return "null"
	}
	var parts []string
	for i := 0; i < v.Len(); i++ {
		if b.wanted(v.Index(i)) {
			parts = append(parts, b.value(name, v.Index(i)))
		}
	}
	if v.Type().Elem().Kind() == reflect.Struct {
		sort.Strings(parts)
	}
	return "[" + strings.Join(parts, " ") + "]"
}

// wanted drops the rows that differ for good reasons: APIs ottla has not, broker-specific configs.
func (b *broker) wanted(v reflect.Value) bool {
	switch row := v.Interface().(type) {
	case kmsg.ApiVersionsResponseApiKey:
		return served[row.ApiKey]
	case kmsg.ListGroupsResponseGroup:
		return strings.HasPrefix(row.Group, b.topic)
	case kmsg.DescribeConfigsResponseResourceConfig:
		return topicConfigs[row.Name] || brokerConfigs[row.Name] || groupConfigs[row.Name]
	case kmsg.CreateTopicsResponseTopicConfig:
		return topicConfigs[row.Name]
	}
	return true
}

func errorName(code int16) string {
	if code == 0 {
		return "NONE"
	}
	if known, ok := kerr.ErrorForCode(code).(*kerr.Error); ok && known.Code == code {
		return known.Message
	}
	return strconv.Itoa(int(code))
}

func (b *broker) clusterWord(v reflect.Value) string {
	if v.Kind() == reflect.Ptr {
		if v.IsNil() {
			return "null"
		}
		v = v.Elem()
	}
	if v.String() == b.clusterID && len(b.clusterID) == 22 {
		return "CLUSTER"
	}
	return strconv.Quote(v.String())
}

func (b *broker) nodeWord(node int32) string {
	if node == b.node {
		return "NODE"
	}
	return strconv.Itoa(int(node))
}

func (b *broker) epochWord(epoch int32) string {
	if epoch == b.leaderEpoch {
		return "EPOCH"
	}
	return strconv.Itoa(int(epoch))
}

func producerWord(id int64) string {
	if id >= 0 {
		return "SOME"
	}
	return strconv.FormatInt(id, 10)
}

func signWord(n int64) string {
	if n > 0 {
		return "SOME"
	}
	return strconv.FormatInt(n, 10)
}

func (b *broker) idWord(id [16]byte) string {
	switch name, known := b.ids[id]; {
	case id == [16]byte{}:
		return "0"
	case known:
		return "id(" + name + ")"
	case id == strangerID:
		return "STRANGER"
	default:
		return "NEW"
	}
}
