"""A real S3 API on this machine, by moto's server."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from urllib.request import Request, urlopen

import pytest

KEYS = {
    "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
}
_BUSY = b"<Error><Code>SlowDown</Code><Message>Please reduce</Message></Error>"
_DENIED = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"


class ObjectStore:
    """A server with one bucket, which can be busy or refuse.

    Attributes:
        bucket: its name
        fail_next: how many reads are answered with 503
        refuse: whether all reads are answered with 403
    """

    bucket = "photos"

    def __init__(self) -> None:
        why = 'moto is not installed: pip install "moto[s3,server]"'
        pytest.importorskip("moto.server", reason=why)
        self.fail_next, self.refuse = 0, False

    def __enter__(self) -> ObjectStore:
        from moto.server import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import make_server

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        inner = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._answer(inner), threaded=True)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        import boto3

        self.client = boto3.client(
            "s3", endpoint_url=self.url, aws_access_key_id="testing",
            aws_secret_access_key="testing", region_name="us-east-1",
        )
        self.client.create_bucket(Bucket=self.bucket)
        return self

    def __exit__(self, *error: object) -> None:
        urlopen(Request(f"{self.url}/moto-api/reset", method="POST"))  # all servers'
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def set(self, setenv: Callable[[str, str], None]) -> None:
        """Sets the environment that leads to it."""
        for name, value in (KEYS | {"AWS_ENDPOINT_URL": self.url}).items():
            setenv(name, value)

    def put(self, key: str, content: bytes) -> str:
        """Writes an object; returns its address."""
        self.client.put_object(Bucket=self.bucket, Key=key, Body=content)
        return f"s3://{self.bucket}/{key}"

    def states(self, prefix: str) -> dict[str, str]:
        """When the objects below a prefix were written."""
        found = self.client.list_objects_v2(Bucket=self.bucket, Prefix=prefix)
        return {one["Key"]: str(one["LastModified"]) for one in found["Contents"]}

    def _answer(self, inner):
        def answer(environ, start):
            is_read = environ["REQUEST_METHOD"] in ("GET", "HEAD")
            if is_read and self.fail_next:
                self.fail_next -= 1
                start("503 Slow Down", [("Content-Type", "application/xml")])
                return [_BUSY]
            if is_read and self.refuse:
                start("403 Forbidden", [("Content-Type", "application/xml")])
                return [_DENIED]
            return inner(environ, start)

        return answer
