// Command gopeer is a small SFTP server on golang.org/x/crypto/ssh and github.com/pkg/sftp, to be measured against.
//
// It does what a server in Go does at the least: one Ed25519 host key made at the start, one authorized key, one
// directory as "/" (chroot, so it runs as root), the packets' allocator on. It keeps no log and asks no database.
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"flag"
	"log"
	"net"
	"os"
	"syscall"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

func main() {
	address := flag.String("listen", "127.0.0.1:0", "address and port to listen on")
	keyFile := flag.String("authorized-key", "", "file with the public key that may log in")
	root := flag.String("root", "", "directory that clients see as /")
	flag.Parse()

	config := configure(*keyFile)
	listener, err := net.Listen("tcp", *address)
	check(err)
	check(syscall.Chroot(*root))
	check(os.Chdir("/"))
	for {
		conn, err := listener.Accept()
		check(err)
		go serve(conn, config)
	}
}

func configure(keyFile string) *ssh.ServerConfig {
	line, err := os.ReadFile(keyFile)
	check(err)
	allowed, _, _, _, err := ssh.ParseAuthorizedKey(line)
	check(err)
	config := &ssh.ServerConfig{
		PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if !bytes.Equal(key.Marshal(), allowed.Marshal()) {
				return nil, os.ErrPermission
			}
			return nil, nil
		},
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	check(err)
	hostKey, err := ssh.NewSignerFromKey(private)
	check(err)
	config.AddHostKey(hostKey)
	return config
}

func serve(conn net.Conn, config *ssh.ServerConfig) {
	defer conn.Close()
	_, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return // a port that is only looked at, or a client with another key
	}
	go ssh.DiscardRequests(requests)
	for offered := range channels {
		if offered.ChannelType() != "session" {
			_ = offered.Reject(ssh.UnknownChannelType, "only sessions")
			continue
		}
		channel, asked, err := offered.Accept()
		if err != nil {
			return
		}
		go answer(channel, asked)
	}
}

// answer waits for the request for the sftp subsystem, and serves it.
func answer(channel ssh.Channel, asked <-chan *ssh.Request) {
	for request := range asked {
		isSFTP := request.Type == "subsystem" && len(request.Payload) > 4 && string(request.Payload[4:]) == "sftp"
		_ = request.Reply(isSFTP, nil)
		if isSFTP {
			go transfer(channel)
		}
	}
}

func transfer(channel ssh.Channel) {
	defer channel.Close()
	server, err := sftp.NewServer(channel, sftp.WithAllocator())
	if err != nil {
		return
	}
	_ = server.Serve() // io.EOF when the client is done
	_ = server.Close()
	_, _ = channel.SendRequest("exit-status", false, []byte{0, 0, 0, 0})
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
