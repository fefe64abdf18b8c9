// Asks a Shortlist gateway. generate.sh makes gen/ from the protos first.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	_ "google.golang.org/grpc/health" // serves healthCheckConfig of the service config
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	shortlistv1 "shortlist/v1"
)

const usage = "usage: client recommend|health|stream --address HOST:PORT[,HOST:PORT] [flags]"

// several collects a flag that may be given more than once.
type several []string

func (s *several) String() string { return strings.Join(*s, ",") }

func (s *several) Set(value string) error {
	*s = append(*s, value)
	return nil
}

type arguments struct {
	command, address, text, ca, protos string
	events, where                      several
	k, times                           int
	deadline                           time.Duration
}

func readArguments(words []string) (arguments, error) {
	found := arguments{}
	if len(words) == 0 {
		return found, errors.New(usage)
	}
	found.command = words[0]
	flags := flag.NewFlagSet("client", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	deadlineMs := 0
	flags.StringVar(&found.address, "address", "", "")
	flags.StringVar(&found.text, "text", "", "")
	flags.StringVar(&found.ca, "ca", "", "")
	flags.StringVar(&found.protos, "protos", filepath.Join("..", "..", "protos"), "")
	flags.Var(&found.events, "event", "")
	flags.Var(&found.where, "where", "")
	flags.IntVar(&found.k, "k", 10, "")
	flags.IntVar(&found.times, "times", 1, "")
	flags.IntVar(&deadlineMs, "deadline-ms", 1000, "")
	if err := flags.Parse(words[1:]); err != nil {
		return found, fmt.Errorf("%v\n%s", err, usage)
	}
	known := found.command == "recommend" || found.command == "health" || found.command == "stream"
	if !known || found.address == "" || flags.NArg() > 0 {
		return found, errors.New(usage)
	}
	found.deadline = time.Duration(deadlineMs) * time.Millisecond
	return found, nil
}

// connect opens one connection to each address; calls take turns over them, and the service config repeats a failed one
// once, within a budget.
func connect(found arguments) (*grpc.ClientConn, error) {
	config, err := os.ReadFile(filepath.Join(found.protos, "shortlist", "v1", "service_config.json"))
	if err != nil {
		return nil, err
	}
	addresses := manual.NewBuilderWithScheme("gateways")
	state := resolver.State{}
	for _, address := range strings.Split(found.address, ",") {
		state.Addresses = append(state.Addresses, resolver.Address{Addr: address})
	}
	addresses.InitialState(state)
	options := []grpc.DialOption{grpc.WithResolvers(addresses), grpc.WithDefaultServiceConfig(string(config))}
	if found.ca == "" {
		options = append(options, grpc.WithInsecure())
	} else {
		name, _, _ := strings.Cut(found.address, ":")
		transport, err := credentials.NewClientTLSFromFile(found.ca, name)
		if err != nil {
			return nil, err
		}
		options = append(options, grpc.WithTransportCredentials(transport))
	}
	return grpc.Dial("gateways:///", options...)
}

func requestOf(found arguments) *shortlistv1.RecommendRequest {
	k := int32(found.k)
	request := &shortlistv1.RecommendRequest{K: &k}
	if found.text != "" {
		request.Text = &found.text
	}
	for _, word := range found.events {
		kind, id, _ := strings.Cut(word, ":")
		number := shortlistv1.EventKind_value["EVENT_KIND_"+strings.ToUpper(kind)]
		request.Events = append(request.Events, &shortlistv1.Event{ItemId: id, Kind: shortlistv1.EventKind(number)})
	}
	for _, word := range found.where {
		name, values, _ := strings.Cut(word, "=")
		set := &shortlistv1.StringSet{Values: strings.Split(values, ",")}
		test := &shortlistv1.AttributeCondition_AnyOf{AnyOf: set}
		request.Conditions = append(request.Conditions, &shortlistv1.AttributeCondition{Attribute: name, Test: test})
	}
	request.ItemMask, _ = fieldmaskpb.New(&shortlistv1.Item{}, "title")
	return request
}

func recommend(ctx context.Context, connection *grpc.ClientConn, found arguments) error {
	ctx, cancel := context.WithTimeout(ctx, found.deadline)
	defer cancel()
	client := shortlistv1.NewRecommenderServiceClient(connection)
	reply, err := client.Recommend(ctx, requestOf(found))
	if err != nil {
		return err
	}
	for _, item := range reply.Items {
		fmt.Printf("%d\t%s\t%s\n", item.Rank, item.Id, item.Item.GetTitle())
	}
	for _, one := range reply.Degradations {
		fmt.Fprintf(os.Stderr, "%s: %s\n", one.Reason, one.Detail)
	}
	return nil
}

func health(ctx context.Context, connection *grpc.ClientConn, found arguments) error {
	ctx, cancel := context.WithTimeout(ctx, found.deadline)
	defer cancel()
	client := grpc_health_v1.NewHealthClient(connection)
	reply, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		return err
	}
	fmt.Println(reply.Status)
	if reply.Status != grpc_health_v1.HealthCheckResponse_SERVING {
		os.Exit(1)
	}
	return nil
}

// stream sends a request for each line of standard input while the outcomes are read.
func stream(ctx context.Context, connection *grpc.ClientConn, found arguments) error {
	call, err := shortlistv1.NewRecommenderServiceClient(connection).RecommendStream(ctx)
	if err != nil {
		return err
	}
	go func() {
		lines := bufio.NewScanner(os.Stdin)
		for lines.Scan() {
			text, k := lines.Text(), int32(found.k)
			request := &shortlistv1.RecommendRequest{Text: &text, K: &k}
			if call.Send(&shortlistv1.RecommendStreamRequest{Request: request}) != nil {
				return // Recv has the reason
			}
		}
		call.CloseSend()
	}()
	for {
		entry, err := call.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if refused := entry.GetError(); refused != nil {
			fmt.Printf("%d\t%s\t%s\n", entry.Index, refused.Reason, refused.Message)
		} else {
			first := ""
			if items := entry.GetResponse().Items; len(items) > 0 {
				first = items[0].Id
			}
			fmt.Printf("%d\t%s\n", entry.Index, first)
		}
	}
}

// names of the codes as the contract writes them.
var names = map[codes.Code]string{
	codes.Canceled: "CANCELLED", codes.Unknown: "UNKNOWN", codes.InvalidArgument: "INVALID_ARGUMENT",
	codes.DeadlineExceeded: "DEADLINE_EXCEEDED", codes.NotFound: "NOT_FOUND", codes.PermissionDenied: "PERMISSION_DENIED",
	codes.ResourceExhausted: "RESOURCE_EXHAUSTED", codes.Unimplemented: "UNIMPLEMENTED", codes.Internal: "INTERNAL",
	codes.Unavailable: "UNAVAILABLE", codes.Unauthenticated: "UNAUTHENTICATED",
}

// printRefusal prints status, reason and the fields that were wrong.
func printRefusal(refused *status.Status) {
	reason := ""
	var violations []*errdetails.BadRequest_FieldViolation
	for _, detail := range refused.Details() {
		switch one := detail.(type) {
		case *errdetails.ErrorInfo:
			reason = " (" + one.Reason + ")"
		case *errdetails.BadRequest:
			violations = one.FieldViolations
		}
	}
	fmt.Fprintf(os.Stderr, "%s%s: %s\n", names[refused.Code()], reason, refused.Message())
	for _, one := range violations {
		fmt.Fprintf(os.Stderr, "  %s: %s\n", one.Field, one.Description)
	}
}

func main() {
	found, err := readArguments(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	connection, err := connect(found)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	defer connection.Close()
	run := map[string]func(context.Context, *grpc.ClientConn, arguments) error{
		"recommend": recommend, "health": health, "stream": stream,
	}
	for call := 0; call < found.times; call++ {
		if err := run[found.command](context.Background(), connection, found); err != nil {
			printRefusal(status.Convert(err))
			os.Exit(1)
		}
	}
}
