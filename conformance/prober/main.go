// The prober speaks the Kafka protocol byte for byte, without a client library between: for every API
// ottla serves and every version of it, good and bad requests, and every field of the answers.
//
// Usage: prober HOST:PORT [API]. It prints its transcript to stdout. Versions that answer the same are
// printed as one row. What differs from broker to broker (ids, ports, times) is replaced by a word.
package main

import (
	"fmt"
	"os"
	"strings"
)

// A probe is one request (or a short exchange) and what it shows; it runs once per version.
type probe struct {
	name string
	run  func(b *broker, version int16) string
}

// An api is a row of the version table with its probes.
type api struct {
	name     string
	key      int16
	min, max int16
	probes   []probe
}

func apis() []api {
	return []api{
		{"ApiVersions", 18, 0, 5, apiVersionsProbes},
		{"Metadata", 3, 0, 13, metadataProbes},
		{"DescribeCluster", 60, 0, 2, describeClusterProbes},
		{"CreateTopics", 19, 2, 7, createTopicsProbes},
		{"DeleteTopics", 20, 1, 6, deleteTopicsProbes},
		{"CreatePartitions", 37, 0, 3, createPartitionsProbes},
		{"DescribeTopicPartitions", 75, 0, 0, describeTopicPartitionsProbes},
		{"DescribeConfigs", 32, 1, 4, append(describeConfigsProbes, describeGroupConfigsProbes...)},
		{"IncrementalAlterConfigs", 44, 0, 1, append(incrementalAlterConfigsProbes, alterGroupConfigsProbes...)},
		{"AlterConfigs", 33, 0, 2, append(alterConfigsProbes, replaceGroupConfigsProbes...)},
		{"ListConfigResources", 74, 0, 1, listConfigResourcesProbes},
		{"DescribeLogDirs", 35, 1, 5, describeLogDirsProbes},
		{"ElectLeaders", 43, 0, 2, electLeadersProbes},
		{"AlterPartitionReassignments", 45, 0, 1, alterPartitionReassignmentsProbes},
		{"ListPartitionReassignments", 46, 0, 0, listPartitionReassignmentsProbes},
		{"DescribeAcls", 29, 1, 3, describeAclsProbes},
		{"CreateAcls", 30, 1, 3, createAclsProbes},
		{"DeleteAcls", 31, 1, 3, deleteAclsProbes},
		{"DescribeQuorum", 55, 0, 2, describeQuorumProbes},
		{"UpdateFeatures", 57, 0, 2, updateFeaturesProbes},
		{"InitProducerId", 22, 0, 5, initProducerIDProbes},
		{"Produce", 0, 3, 13, append(produceProbes, compressionProbes...)},
		{"DescribeProducers", 61, 0, 0, describeProducersProbes},
		{"Fetch", 1, 4, 18, fetchProbes},
		{"ListOffsets", 2, 1, 11, listOffsetsProbes},
		{"OffsetForLeaderEpoch", 23, 2, 4, offsetForLeaderEpochProbes},
		{"FindCoordinator", 10, 0, 6, findCoordinatorProbes},
		{"JoinGroup", 11, 0, 9, joinGroupProbes},
		{"SyncGroup", 14, 0, 5, syncGroupProbes},
		{"Heartbeat", 12, 0, 4, heartbeatProbes},
		{"LeaveGroup", 13, 0, 5, leaveGroupProbes},
		{"OffsetCommit", 8, 2, 10, offsetCommitProbes},
		{"OffsetFetch", 9, 1, 10, offsetFetchProbes},
		{"OffsetDelete", 47, 0, 0, offsetDeleteProbes},
		{"ListGroups", 16, 0, 5, listGroupsProbes},
		{"DescribeGroups", 15, 0, 6, describeGroupsProbes},
		{"DeleteGroups", 42, 0, 3, deleteGroupsProbes},
		{"ConsumerGroupHeartbeat", 68, 0, 1, consumerGroupHeartbeatProbes},
		{"ConsumerGroupDescribe", 69, 0, 1, consumerGroupDescribeProbes},
	}
}

// skipped is what a probe returns for a version that has no such field.
const skipped = "\x00"

func topicName(api, probe string, version int16) string {
	return fmt.Sprintf("%s.%s-v%d", strings.ToLower(api), probe, version)
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: prober HOST:PORT [API]")
		os.Exit(2)
	}
	only := ""
	if len(os.Args) > 2 {
		only = os.Args[2]
	}
	for _, a := range apis() {
		served[a.key] = true
	}
	b, err := reach(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "prober:", err)
		os.Exit(1)
	}
	for _, a := range apis() {
		if only == "" || strings.EqualFold(only, a.name) {
			runAPI(b, a)
		}
	}
	if only == "" || strings.EqualFold(only, "frames") {
		runFrames(b)
	}
}

func runAPI(b *broker, a api) {
	fmt.Printf("# %s\n", a.name)
	for _, p := range a.probes {
		from := a.min
		last := skipped
		for v := a.min; v <= a.max+1; v++ {
			text := skipped
			if v <= a.max {
				b.topic = topicName(a.name, p.name, v)
				b.members = map[string]string{}
				text = strings.ReplaceAll(attempt(b, p, v), b.topic, "TOPIC")
			}
			if v > a.min && text != last {
				printRow(p.name, from, v-1, last)
				from = v
			}
			last = text
		}
	}
}

// attempt runs one probe; if a step around it fails, that is what is printed, and the next probe runs.
func attempt(b *broker, p probe, version int16) (text string) {
	defer func() {
		if reason := recover(); reason != nil {
			b.hangUp()
			text = fmt.Sprint("could not be asked: ", reason)
		}
	}()
	return p.run(b, version)
}

func printRow(name string, from, to int16, text string) {
	if text == skipped {
		return
	}
	versions := fmt.Sprintf("v%d", from)
	if to > from {
		versions = fmt.Sprintf("v%d-%d", from, to)
	}
	fmt.Printf("%s %s -> %s\n", name, versions, text)
}
