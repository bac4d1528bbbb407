"""A conversion webhook to test with: conversion_webhook.py CERTIFICATE KEY LOG.

Of kind Site it turns version v1 ({host, port}) into v2 ({address: "host:port"}) and back. `/convert` does so; `/refuse`, `/garbage`
and `/rename` do what a webhook must not. Prints its port, then serves until it is killed, for ten minutes at most, and
writes a line `VERSION COUNT` to LOG for each review.
"""
import http.server
import json
import ssl
import sys
import threading


def convert(site, version):
    group, found = site["apiVersion"].split("/")
    spec = site.get("spec", {})
    if (found, version) == ("v1", "v2"):
        spec = {"address": f"{spec['host']}:{spec['port']}"}
    elif (found, version) == ("v2", "v1"):
        host, port = spec["address"].rsplit(":", 1)
        spec = {"host": host, "port": int(port)}
    labels = {**site["metadata"].get("labels", {}), "converted-from": found}
    return {**site, "apiVersion": f"{group}/{version}", "spec": spec, "metadata": {**site["metadata"], "labels": labels}}


class Webhook(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        asked = review["request"]
        version = asked["desiredAPIVersion"].split("/")[1]
        with open(sys.argv[3], "a") as log:
            log.write(f"{version} {len(asked['objects'])}\n")
        response = {"uid": asked["uid"], "result": {"status": "Success"}}
        if self.path == "/refuse":
            response["result"] = {"status": "Failed", "message": "not today"}
        else:
            response["convertedObjects"] = [convert(site, version) for site in asked["objects"]]
        if self.path == "/rename":
            for site in response["convertedObjects"]:
                site["metadata"]["name"] = "another"
        answer = {"apiVersion": review["apiVersion"], "kind": "ConversionReview", "response": response}
        body = b"<html>" if self.path == "/garbage" else json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Webhook)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1], sys.argv[2])
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Timer(600, server.shutdown).start()
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
