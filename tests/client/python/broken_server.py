"""A server that fails some calls and has a real one answer the others."""

import concurrent.futures
import time

import grpc

from lossd.v1 import status_pb2


class Broken(grpc.GenericRpcHandler):
    """Answers calls with one code, then forwards them to a real server."""

    def __init__(self, target, failures, code, details=()):
        self._channel = grpc.insecure_channel(target)
        self.failures = failures
        self.calls = []
        # What each call announced, and the bytes that came.
        self.announced = []
        self.requests = []
        self._code = code
        self._details = details

    def service(self, call_details):
        method = call_details.method
        forward = self._channel.unary_unary(method)

        def answer(request, context):
            self.calls.append(time.monotonic())
            self.announced.append((dict(context.invocation_metadata()).get(
                "lossd-bytes"), len(request)))
            self.requests.append(request)
            if method.endswith("Compute") and self.failures:
                self.failures -= 1
                context.set_trailing_metadata(self._details)
                context.abort(self._code, "broken")
            return forward(request)

        return grpc.unary_unary_rpc_method_handler(answer)


def broken_server(*arguments, credentials=None):
    handler = Broken(*arguments)
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(2), [handler])
    if credentials:
        port = server.add_secure_port("localhost:0", credentials)
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return handler, server, port


def asks_to_wait(seconds):
    """The trailers of a server that says when to try again."""
    info = status_pb2.RetryInfo()
    info.retry_delay.FromMilliseconds(int(seconds * 1000))
    status = status_pb2.Status(code=14, message="broken")
    status.details.add(type_url="type.googleapis.com/google.rpc.RetryInfo",
                       value=info.SerializeToString())
    return (("grpc-status-details-bin", status.SerializeToString()),)
