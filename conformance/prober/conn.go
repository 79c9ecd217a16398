package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const answerTimeout = 15 * time.Second

// A broker is the address under test and what was learned about it, so that answers can be normalized.
type broker struct {
	address     string
	clusterID   string
	node        int32
	leaderEpoch int32
	ids         map[[16]byte]string
	conn        net.Conn
	correlation int32
	topic       string // the topic name of the running probe
	// members are the words for the member ids that the running probe has shown.
	members map[string]string
	// groupsServed says that a coordinator has answered.
	groupsServed bool
}

var errClosed = errors.New("connection closed")

// reach is learn with an error instead of a panic.
func reach(address string) (b *broker, err error) {
	defer func() {
		if reason := recover(); reason != nil {
			err = fmt.Errorf("%s: %v", address, reason)
		}
	}()
	return learn(address), nil
}

// learn asks for what the normalization needs: node id, cluster id, and the epoch a fresh topic has.
func learn(address string) *broker {
	b := &broker{address: address, ids: map[[16]byte]string{}}
	meta := b.mustAsk(metadataRequest(12)).(*kmsg.MetadataResponse)
	b.node = meta.ControllerID
	b.clusterID = *meta.ClusterID
	b.makeTopic("probe.first", 2, nil)
	request := metadataRequest(12, "probe.first")
	b.leaderEpoch = b.mustAsk(request).(*kmsg.MetadataResponse).Topics[0].Partitions[0].LeaderEpoch
	until("producer ids", func() bool { // Kafka's first block is a moment away
		return b.mustAsk(initRequest(4)).(*kmsg.InitProducerIDResponse).ErrorCode == 0
	})
	return b
}

func (b *broker) hangUp() {
	if b.conn != nil {
		_ = b.conn.Close()
		b.conn = nil
	}
}

func (b *broker) dial() net.Conn {
	if b.conn == nil {
		conn, err := net.DialTimeout("tcp", b.address, answerTimeout)
		if err != nil {
			fatal(err)
		}
		b.conn = conn
	}
	return b.conn
}

// ask sends one request and decodes its answer; errClosed if the broker hangs up instead.
func (b *broker) ask(request kmsg.Request) (kmsg.Response, error) {
	b.send(request)
	return b.receive(request)
}

func (b *broker) send(request kmsg.Request) {
	b.correlation++
	formatter := kmsg.NewRequestFormatter(kmsg.FormatterClientID("prober"))
	b.sendBytes(formatter.AppendRequest(nil, request, b.correlation))
}

func (b *broker) sendBytes(frame []byte) {
	_ = b.dial().SetDeadline(time.Now().Add(answerTimeout))
	_, _ = b.conn.Write(frame) // a broker that hung up shows in receive
}

func (b *broker) receive(request kmsg.Request) (kmsg.Response, error) {
	body, err := b.receiveBody(request.Key() != 18 && request.IsFlexible())
	if err != nil {
		return nil, err
	}
	response := request.ResponseKind()
	if err := response.ReadFrom(body); err != nil {
		return nil, fmt.Errorf("undecodable answer of %d bytes: %w", len(body), err)
	}
	if again := response.AppendTo(nil); len(again) != len(body) {
		return nil, fmt.Errorf("answer of %d bytes where %d would do", len(body), len(again))
	}
	return response, nil
}

// receiveBody reads one frame, checks its correlation id and cuts off the response header.
func (b *broker) receiveBody(flexible bool) ([]byte, error) {
	frame, err := b.receiveFrame()
	if err != nil {
		return nil, err
	}
	if got := int32(binary.BigEndian.Uint32(frame)); got != b.correlation {
		return nil, fmt.Errorf("answer to request %d, expected %d", got, b.correlation)
	}
	body := frame[4:]
	if flexible {
		if body[0] != 0 {
			return nil, fmt.Errorf("%d tagged fields in the response header", body[0])
		}
		body = body[1:]
	}
	return body, nil
}

func (b *broker) receiveFrame() ([]byte, error) {
	head := make([]byte, 4)
	if _, err := io.ReadFull(b.conn, head); err != nil {
		b.hangUp()
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			return nil, errors.New("no answer")
		}
		return nil, errClosed
	}
	frame := make([]byte, binary.BigEndian.Uint32(head))
	if _, err := io.ReadFull(b.conn, frame); err != nil {
		b.hangUp()
		return nil, fmt.Errorf("answer cut short: %w", err)
	}
	return frame, nil
}

// mustAsk is for the steps around a probe, which have to succeed.
func (b *broker) mustAsk(request kmsg.Request) kmsg.Response {
	response, err := b.ask(request)
	if err != nil {
		fatal(fmt.Errorf("%T version %d: %w", request, request.GetVersion(), err))
	}
	return response
}

// show asks and prints.
func (b *broker) show(request kmsg.Request) string {
	response, err := b.ask(request)
	if err != nil {
		b.hangUp()
		return err.Error()
	}
	return b.render(response)
}

// fatal gives up the running probe: a step around it failed.
func fatal(err error) { panic(err) }
