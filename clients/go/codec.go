package main

import (
	"github.com/golang/protobuf/proto"
	"google.golang.org/grpc/encoding"
	protov2 "google.golang.org/protobuf/proto"
)

// codec writes messages of both generations of Go's protobuf. grpc-go before 1.34, which Debian 12 carries, knows the older
// one alone; with a newer grpc-go this file is not needed.
type codec struct{}

func init() { encoding.RegisterCodec(codec{}) }

func (codec) Name() string { return "proto" }

func (codec) Marshal(message interface{}) ([]byte, error) {
	if newer, ok := message.(protov2.Message); ok {
		return protov2.Marshal(newer)
	}
	return proto.Marshal(message.(proto.Message))
}

func (codec) Unmarshal(data []byte, message interface{}) error {
	if newer, ok := message.(protov2.Message); ok {
		return protov2.Unmarshal(data, newer)
	}
	return proto.Unmarshal(data, message.(proto.Message))
}
