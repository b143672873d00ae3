// A minion written from relay/README.md and relay.proto alone, to show that both are enough.
//
// It has the functions that the conformance program asks for (echo, fail, wait), runs at most CAPACITY jobs at once,
// and owns no policy: every rule it keeps has its number in the spec beside it.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"math/rand"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	pb "conformance/relaypb"
)

const (
	capacity     = 4
	messageBytes = 32 << 20
	pauseFirst   = 50 * time.Millisecond
	pauseMost    = 2 * time.Second
	grace        = 300 * time.Millisecond
	storedWithin = 5 * time.Second
)

// A lease that this minion holds.
type lease struct {
	job     *pb.Job
	started time.Time
	stop    chan struct{} // closed to end the function early
	stopped bool
	session int // the session that gave it
}

func (l *lease) held() *pb.Held {
	j := l.job
	return &pb.Held{Job: j.Id, Epoch: j.Epoch, Key: j.Key, Partition: j.Partition, Attempt: j.Attempt, Queue: j.Queue,
		Function: j.Function, AssignedAtMs: j.AssignedAtMs, StartedAtMs: l.started.UnixMilli(), TimeoutMs: j.TimeoutMs}
}

type name struct {
	job   string
	epoch uint64
}

type kept struct {
	receipt *pb.Receipt
	lease   *lease
}

// Everything that outlives a session.
type minion struct {
	sync.Mutex
	held     map[name]*lease
	kept     []kept // receipts that Kafka does not have yet, by number
	sent     uint64 // highest number sent on this session
	number   uint64
	granted  int
	session  int
	draining bool
	told     bool // that it drains, on this session
	asked    bool // for its credits back, and not answered yet
	leaving  bool // the relay drains
	wake     chan struct{}
}

func (m *minion) stir() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// Ends a lease with a receipt, unless it was dropped or has ended (10).
func (m *minion) end(l *lease, r *pb.Receipt) {
	m.Lock()
	defer m.Unlock()
	key := name{l.job.Id, l.job.Epoch}
	if m.held[key] != l {
		return
	}
	delete(m.held, key)
	m.keep(l, r)
}

func (m *minion) keep(l *lease, r *pb.Receipt) {
	m.number++ // (11)
	r.Number, r.Job, r.Epoch = m.number, l.job.Id, l.job.Epoch
	if !l.started.IsZero() {
		r.StartedAtMs, r.RunMs = l.started.UnixMilli(), time.Since(l.started).Milliseconds()
	}
	m.kept = append(m.kept, kept{r, l})
	m.stir()
}

func (m *minion) run(l *lease) {
	over := time.After(time.Duration(l.job.TimeoutMs) * time.Millisecond)
	timeout := &pb.Receipt{Outcome: pb.Outcome_FAILURE, ErrorType: "Timeout", ErrorMessage: "its time is over"} // (8)
	switch l.job.Function {
	case "echo":
		m.end(l, &pb.Receipt{Outcome: pb.Outcome_SUCCESS, Result: l.job.Args, ResultType: l.job.ContentType})
	case "fail":
		m.end(l, &pb.Receipt{Outcome: pb.Outcome_FAILURE, ErrorType: "Broken", ErrorMessage: "as asked"})
	case "wait":
		select {
		case <-over:
			m.end(l, timeout)
		case <-l.stop:
			m.end(l, &pb.Receipt{Outcome: pb.Outcome_CANCELLED}) // (17)
		}
	}
}

func (m *minion) take(jobs []*pb.Job) {
	for _, job := range jobs {
		m.granted--
		key := name{job.Id, job.Epoch}
		if m.held[key] != nil { // (7)
			continue
		}
		l := &lease{job: job, stop: make(chan struct{}), session: m.session}
		known := job.Function == "echo" || job.Function == "fail" || job.Function == "wait"
		if m.draining || !known || len(m.held) >= capacity { // (7)
			m.keep(l, &pb.Receipt{Outcome: pb.Outcome_INTERRUPTED})
			continue
		}
		l.started = time.Now()
		m.held[key] = l
		go m.run(l)
	}
}

func (m *minion) halt(l *lease) {
	if !l.stopped {
		l.stopped = true
		close(l.stop)
	}
}

func (m *minion) receive(said *pb.FromRelay) {
	m.Lock()
	defer m.Unlock()
	switch what := said.Message.(type) {
	case *pb.FromRelay_Jobs:
		m.take(what.Jobs.Jobs)
	case *pb.FromRelay_ReceiptsStored: // (12)
		for len(m.kept) > 0 && m.kept[0].receipt.Number <= what.ReceiptsStored.UpTo && m.kept[0].receipt.Number <= m.sent {
			m.kept = m.kept[1:]
		}
	case *pb.FromRelay_Cancel:
		if l := m.held[name{what.Cancel.Job, what.Cancel.Epoch}]; l != nil {
			m.halt(l)
		}
	case *pb.FromRelay_Drop: // (18)
		for _, each := range what.Drop.Leases {
			key := name{each.Job, each.Epoch}
			if l := m.held[key]; l != nil {
				delete(m.held, key)
				m.halt(l)
			}
		}
	case *pb.FromRelay_Recalled: // (19) nothing more comes
		m.granted -= int(what.Recalled.Count)
		m.asked = false
	case *pb.FromRelay_Drain: // (20)
		m.leaving = true
	}
	m.stir()
}

// What shall be sent now: receipts, lowest number first (4), then credits (5).
func (m *minion) collect() []*pb.FromMinion {
	m.Lock()
	defer m.Unlock()
	var found []*pb.FromMinion
	if m.draining && !m.told {
		m.told = true
		found = append(found, &pb.FromMinion{Message: &pb.FromMinion_Draining{Draining: &pb.Draining{GraceMs: uint32(grace.Milliseconds())}}})
		if m.granted > 0 { // (19)
			m.asked = true
			found = append(found, &pb.FromMinion{Message: &pb.FromMinion_Recall{Recall: &pb.Recall{UpTo: uint32(m.granted)}}})
		}
	}
	batch := &pb.ReceiptBatch{}
	for _, each := range m.kept {
		if each.receipt.Number > m.sent {
			if each.lease.session != m.session {
				each.receipt.Lease = each.lease.held() // (13)
			}
			batch.Receipts = append(batch.Receipts, each.receipt)
			m.sent = each.receipt.Number
		}
	}
	if len(batch.Receipts) > 0 {
		found = append(found, &pb.FromMinion{Message: &pb.FromMinion_Receipts{Receipts: batch}})
	}
	if more := capacity - len(m.held) - m.granted; more > 0 && !m.draining && !m.leaving {
		m.granted += more
		found = append(found, &pb.FromMinion{Message: &pb.FromMinion_Credit{Credit: &pb.Credit{More: uint32(more)}}})
	}
	return found
}

func (m *minion) settled() bool {
	m.Lock()
	defer m.Unlock()
	return len(m.held) == 0 && len(m.kept) == 0 && !m.asked && (m.told || !m.draining)
}

// One session, from hello to the end of its stream.
func (m *minion) talk(ctx context.Context, conn *grpc.ClientConn) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	desc := &grpc.StreamDesc{StreamName: "Session", ServerStreams: true, ClientStreams: true}
	stream, err := conn.NewStream(ctx, desc, "/jobstream.Relay/Session")
	if err != nil {
		return err
	}
	m.Lock()
	hello := &pb.Hello{Protocol: 1, Minion: fmt.Sprintf("go-%d", os.Getpid()), Queues: []string{"default"},
		Functions: []string{"echo", "fail", "wait"}, Capacity: capacity, Sdk: "conformance-go",
		Token: os.Getenv("JOBSTREAM_RELAY_TOKEN")}
	for _, l := range m.held { // (1)
		hello.Held = append(hello.Held, l.held())
	}
	m.Unlock()
	if err := stream.SendMsg(&pb.FromMinion{Message: &pb.FromMinion_Hello{Hello: hello}}); err != nil {
		return err
	}
	first := &pb.FromRelay{}
	if err := stream.RecvMsg(first); err != nil {
		return err
	}
	welcome := first.GetWelcome()
	if welcome == nil {
		return fmt.Errorf("the first message must be a welcome, got %v", first)
	}
	m.Lock()
	m.session++
	m.granted, m.sent, m.told, m.asked, m.leaving = 0, 0, false, false, false // (4)
	m.Unlock()
	broken := make(chan error, 1)
	go func() {
		for {
			said := &pb.FromRelay{}
			if err := stream.RecvMsg(said); err != nil {
				broken <- err
				return
			}
			m.receive(said)
		}
	}()
	return m.write(stream, broken, time.Duration(welcome.HeartbeatMs)*time.Millisecond)
}

func (m *minion) write(stream grpc.ClientStream, broken chan error, every time.Duration) error {
	beat := time.NewTicker(every * 4 / 5) // (15)
	defer beat.Stop()
	for {
		for _, message := range m.collect() {
			if err := stream.SendMsg(message); err != nil {
				return err
			}
		}
		m.Lock()
		going := m.draining || m.leaving
		m.Unlock()
		if going && m.settled() { // (19)
			if err := stream.CloseSend(); err != nil {
				return err
			}
			return <-broken
		}
		select {
		case err := <-broken:
			return err
		case <-m.wake:
		case <-beat.C:
			if err := stream.SendMsg(&pb.FromMinion{Message: &pb.FromMinion_Beats{Beats: m.beats()}}); err != nil {
				return err
			}
		}
	}
}

func (m *minion) beats() *pb.BeatBatch {
	m.Lock()
	defer m.Unlock()
	batch := &pb.BeatBatch{}
	for _, l := range m.held {
		batch.Beats = append(batch.Beats, &pb.Beat{Job: l.job.Id, Epoch: l.job.Epoch, StartedAtMs: l.started.UnixMilli()})
	}
	return batch
}

// Takes no more jobs, gives those that run the grace time, hands the rest back (19).
func (m *minion) drain() {
	m.Lock()
	m.draining = true
	m.Unlock()
	m.stir()
	for until := time.Now().Add(grace); time.Now().Before(until) && !m.settled(); {
		time.Sleep(10 * time.Millisecond)
	}
	m.Lock()
	for key, l := range m.held {
		delete(m.held, key)
		m.keep(l, &pb.Receipt{Outcome: pb.Outcome_INTERRUPTED})
		m.halt(l)
	}
	m.Unlock()
	for until := time.Now().Add(storedWithin); time.Now().Before(until) && !m.settled(); {
		time.Sleep(10 * time.Millisecond)
	}
}

// In the clear, or by TLS if the authorities of relays' certificates are told.
func transport() (credentials.TransportCredentials, error) {
	if ca := os.Getenv("JOBSTREAM_RELAY_CA"); ca != "" {
		return credentials.NewClientTLSFromFile(ca, "")
	}
	return insecure.NewCredentials(), nil
}

func main() {
	creds, err := transport()
	if err != nil {
		log.Fatal(err)
	}
	conn, err := grpc.NewClient("passthrough:///"+os.Getenv("JOBSTREAM_RELAY"),
		grpc.WithTransportCredentials(creds),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(messageBytes), grpc.MaxCallSendMsgSize(messageBytes)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 5 * time.Second, PermitWithoutStream: true}))
	if err != nil {
		log.Fatal(err)
	}
	m := &minion{held: map[name]*lease{}, wake: make(chan struct{}, 1)}
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM, os.Interrupt)
	gone := make(chan struct{})
	go func() {
		<-told
		m.drain()
		close(gone)
		time.Sleep(time.Second)
		os.Exit(0)
	}()
	for pause := pauseFirst; ; { // (21)
		before := m.session
		err := m.talk(context.Background(), conn)
		if m.session > before {
			pause = pauseFirst
		}
		select {
		case <-gone:
			return
		default:
		}
		if err != io.EOF {
			log.Printf("session over: %v", err)
		}
		conn.ResetConnectBackoff()
		time.Sleep(pause/2 + time.Duration(rand.Int63n(int64(pause/2))))
		pause = min(pause*2, pauseMost)
	}
}
