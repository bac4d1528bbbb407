"""A bucket to test with: moto's S3 in a process of its own, which checks signatures and permissions.

Prints one line `PORT ACCESS-KEY SECRET-KEY`, then serves the bucket `copies` until it is killed, for ten minutes at most.
"""
import json
import os
import time

# As many requests as set the bucket and its user up below; every later one must be signed by a key that may do it.
os.environ["INITIAL_NO_AUTH_ACTION_COUNT"] = "4"
for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
    os.environ[name] = "setup"
os.environ["AWS_DEFAULT_REGION"] = "us-east-1"

import boto3  # noqa: E402
from moto.server import ThreadedMotoServer  # noqa: E402


def main():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    boto3.client("s3", endpoint_url=url).create_bucket(Bucket="copies")
    iam = boto3.client("iam", endpoint_url=url)
    iam.create_user(UserName="espalier")
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    iam.put_user_policy(UserName="espalier", PolicyName="copies", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName="espalier")["AccessKey"]
    print(port, key["AccessKeyId"], key["SecretAccessKey"], flush=True)
    time.sleep(600)
    server.stop()


if __name__ == "__main__":
    main()
