package link

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
	"github.com/ratchetd/ratchet/agent/dialect"
	"github.com/ratchetd/ratchet/agent/link/packet"
)

// A Probe is a bare connection that takes any topic, for measuring what a broker
// does. It does not come back after a loss.
type Probe struct {
	Resumed bool // the broker had a session of this client

	mqtt paho.Client
	mu   sync.Mutex
	got  map[string][]byte // by topic
	last time.Time         // when the last of them came
}

// Dial opens a probe under a client id. Keep asks the broker for a session that
// outlives the connection.
func Dial(ctx context.Context, o Options, id string, keep bool) (*Probe, error) {
	password, err := o.password()
	if err != nil {
		return nil, err
	}
	config, err := o.tls()
	if err != nil {
		return nil, err
	}
	p, c := &Probe{got: map[string][]byte{}, last: time.Now()}, &Client{}
	p.mqtt = paho.NewClient(paho.NewClientOptions().AddBroker(o.Broker).SetClientID(id).SetCleanSession(!keep).
		SetUsername(o.Username).SetPassword(password).SetTLSConfig(config).SetConnectTimeout(connectTimeout).
		SetAutoReconnect(false).SetDefaultPublishHandler(p.take).SetCustomOpenConnectionFn(c.open))
	token := p.mqtt.Connect()
	if err := c.wait(ctx, token, connectTimeout+time.Second); err != nil {
		return nil, fmt.Errorf("connecting to %s: %w%s", o.Broker, err, o.hint(err))
	}
	if t, ok := token.(*paho.ConnectToken); ok {
		p.Resumed = t.SessionPresent()
	}
	return p, nil
}

func (p *Probe) take(_ paho.Client, m paho.Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = time.Now()
	p.got[m.Topic()] = m.Payload()
}

// Send publishes with QoS 1 without waiting for the broker; Sent waits for it.
func (p *Probe) Send(topic string, keep bool, payload []byte) (sent func() error) {
	token := p.mqtt.Publish(topic, 1, keep, payload)
	return func() error {
		if !token.WaitTimeout(answerTimeout) {
			return fmt.Errorf("publishing to %s: no answer within %v", topic, answerTimeout)
		}
		return token.Error()
	}
}

// Subscribe asks for a filter, and returns an error where it is not granted.
func (p *Probe) Subscribe(filter string, qos byte) error {
	p.mu.Lock()
	p.got, p.last = map[string][]byte{}, time.Now()
	p.mu.Unlock()
	token := p.mqtt.Subscribe(filter, qos, nil)
	if !token.WaitTimeout(answerTimeout) {
		return fmt.Errorf("subscribing to %s: no answer within %v", filter, answerTimeout)
	}
	return errors.Join(token.Error(), refused(token))
}

// Got is what has come since the last Subscribe, by topic, once nothing more came
// for a time.
func (p *Probe) Got(ctx context.Context, quiet time.Duration) map[string][]byte {
	for ctx.Err() == nil {
		p.mu.Lock()
		since := time.Since(p.last)
		p.mu.Unlock()
		if since >= quiet {
			break
		}
		time.Sleep(min(quiet-since, 50*time.Millisecond))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.got)
}

// Close ends the connection; Up reports whether it is there.
func (p *Probe) Close() { p.mqtt.Disconnect(250) }

// Up reports whether the connection is there.
func (p *Probe) Up() bool { return p.mqtt.IsConnectionOpen() }

// FallSilent connects with a last will and says nothing more, as a device does whose
// power went. The will must come when the keep-alive, in seconds, has passed once
// and a half.
func FallSilent(ctx context.Context, o Options, id, will string, keepAlive uint16) (io.Closer, error) {
	password, err := o.password()
	if err != nil {
		return nil, err
	}
	config, err := o.tls()
	if err != nil {
		return nil, err
	}
	to, err := url.Parse(o.Broker)
	if err != nil {
		return nil, err
	}
	raw, err := openConn(to, paho.ClientOptions{TLSConfig: config})
	if err != nil {
		return nil, err
	}
	conn := packet.Guard(raw, dialect.MaxPayload)
	hello := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	hello.ProtocolName, hello.ProtocolVersion, hello.ClientIdentifier, hello.CleanSession, hello.Keepalive = "MQTT", 4, id, true, keepAlive
	hello.UsernameFlag, hello.Username, hello.PasswordFlag, hello.Password = o.Username != "", o.Username, password != "", []byte(password)
	hello.WillFlag, hello.WillTopic, hello.WillMessage, hello.WillQos = true, will, []byte("gone"), 1
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if err := hello.Write(conn); err != nil {
		conn.Close()
		return nil, err
	}
	answer, err := packets.ReadPacket(conn)
	if a, ok := answer.(*packets.ConnackPacket); err == nil && (!ok || a.ReturnCode != 0) {
		err = errors.New("the broker does not let it in")
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}
