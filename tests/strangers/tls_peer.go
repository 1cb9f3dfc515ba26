// tls_peer.go: Go's crypto/tls at the other end. "server CERT KEY CA" echoes, and prints its port; "client PORT TIMES
// option=value..." sends its stdin and the end, and prints what comes. What was negotiated goes to stderr.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strconv"
	"strings"
)

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func config(options []string) *tls.Config {
	c := &tls.Config{ServerName: "localhost", ClientSessionCache: tls.NewLRUClientSessionCache(8)}
	versions := map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}
	cert := ""
	for _, option := range options {
		name, value, _ := strings.Cut(option, "=")
		switch name {
		case "ca":
			roots, err := os.ReadFile(value)
			check(err)
			c.RootCAs = x509.NewCertPool()
			c.RootCAs.AppendCertsFromPEM(roots)
			c.ClientCAs = c.RootCAs
		case "cert":
			cert = value
		case "key":
			pair, err := tls.LoadX509KeyPair(cert, value)
			check(err)
			c.Certificates = append(c.Certificates, pair)
		case "verify":
			c.ClientAuth = tls.RequireAndVerifyClientCert
		case "alpn":
			c.NextProtos = strings.Split(value, ",")
		case "min":
			c.MinVersion = versions[value]
		case "max":
			c.MaxVersion = versions[value]
		case "name":
			c.ServerName = value
		}
	}
	return c
}

func tell(c *tls.Conn) {
	s := c.ConnectionState()
	peer := "-"
	if len(s.PeerCertificates) > 0 {
		peer = s.PeerCertificates[0].Subject.CommonName
	}
	fmt.Fprintf(os.Stderr, "%x %v alpn=%s peer=%s\n", s.Version, s.DidResume, s.NegotiatedProtocol, peer)
}

func echo(c *tls.Conn) {
	defer c.Close()
	if err := c.Handshake(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	tell(c)
	io.Copy(c, c)
	c.CloseWrite()
}

func serve(options []string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	for {
		c, err := listener.Accept()
		check(err)
		go echo(tls.Server(c, config(options)))
	}
}

func connect(port string, times int, options []string) {
	c := config(options)
	input, err := io.ReadAll(os.Stdin)
	check(err)
	for i := 0; i < times; i++ {
		conn, err := tls.Dial("tcp", "127.0.0.1:"+port, c)
		check(err)
		tell(conn)
		go func() {
			conn.Write(input)
			conn.CloseWrite()
		}()
		_, err = io.Copy(os.Stdout, conn)
		check(err)
		conn.Close()
	}
}

func main() {
	if os.Args[1] == "server" {
		serve(os.Args[2:])
		return
	}
	times, err := strconv.Atoi(os.Args[3])
	check(err)
	connect(os.Args[2], times, os.Args[4:])
}
