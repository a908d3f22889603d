"""Addresses that may contain a password, and the part of them that may be shown."""

from __future__ import annotations

import re
from typing import Any, Self
from urllib.parse import urlsplit

from pydantic import GetCoreSchemaHandler, Secret, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError, core_schema

STREAM_SCHEMES = ("rtsp", "rtsps", "http", "https", "udp", "rtp")

_EXAMPLE = "rtsp://host/path"
_ESCAPES = "%40 for @, %2F for /, %3F for ?, %23 for #, %25 for %, %20 for a space"
_SCHEME = re.compile(r"\s*([a-z][a-z0-9+.\-]+):/", re.IGNORECASE)
# RFC 3986: the characters that each part may contain unescaped. An @ could also be in a path or query, but there it is
# far more likely to follow a password with an unescaped / or ?, part of which would be taken for the host.
_USER = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:]|%[0-9A-Fa-f]{2})*")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+(?:%[0-9A-Za-z\-._~]+)?\]|[A-Za-z0-9\-._]+)(?::([0-9]{1,5}))?")
_REST = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:/?\[\]|{}]|%[0-9A-Fa-f]{2})*")
_TELLTALE = re.compile(r"://|@|(?:pass|pwd|pw|token|auth|secret|key|user|login)\w*[=:]", re.IGNORECASE)


class SecretUrl(Secret[str]):
    """The address of a network stream. Shows scheme, host and port; only ``get_secret_value`` has the rest.

    That holds for ``str``, ``repr`` and every dump of a model: cameras use passwords in the user part, in the query and
    in the path. Raises ``ValueError``, which never repeats the address, if it is not the address of a stream or its
    password is not escaped: then the end of the password could not be found.
    """

    def __init__(self, url: str) -> None:
        self._shown = _checked(url)
        super().__init__(url)

    @property
    def may_hold_secret(self) -> bool:
        """Whether there is a user part or a query, which may contain a password."""
        parts = urlsplit(self.get_secret_value())
        return bool(parts.username or parts.password or parts.query)

    def _display(self) -> str:
        return self._shown

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type[Any], handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls._validate,
            serialization=core_schema.plain_serializer_function_ser_schema(str, return_schema=core_schema.str_schema()),
        )

    @classmethod
    def _validate(cls, value: object) -> Self:
        if isinstance(value, cls):
            return value
        if not isinstance(value, str):
            raise PydanticCustomError("string_type", "Should be a text")
        try:
            return cls(value)
        except ValueError as error:
            problem = PydanticCustomError("stream_url", "{reason}", {"reason": str(error)})
        # pydantic stores and shows the input of every error, so it is given a placeholder.
        raise ValidationError.from_exception_data(
            cls.__name__, [InitErrorDetails(type=problem, input="...")], hide_input=True
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, *_: object) -> dict[str, Any]:
        return {"type": "string", "format": "password", "writeOnly": True}


def without_secrets(text: str) -> str:
    """``text`` in a form that messages may repeat: only the scheme of an address, no passwords."""
    hidden = without_address(text)
    return "..." if hidden == text and _TELLTALE.search(text) else hidden


def without_address(text: str) -> str:
    """``text``, or only its scheme if it begins like an address."""
    scheme = _SCHEME.match(text)
    return f"{scheme[1]}://..." if scheme else text


def _checked(url: str) -> str:
    """Scheme, host and port of ``url``. Raises ``ValueError``."""
    if not url.isprintable() or any(character.isspace() for character in url):
        raise ValueError(f"contains spaces or control characters; in user and password write {_ESCAPES}")
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.lower() not in STREAM_SCHEMES:
        raise ValueError(f"needs an address such as {_EXAMPLE}; schemes are {', '.join(STREAM_SCHEMES)}")
    authority = re.split(r"[/?#\\]", rest, maxsplit=1)[0]
    tail = rest[len(authority) :]
    user, _, place = authority.rpartition("@")
    if "@" in tail or "#" in tail or not _USER.fullmatch(user) or not _REST.fullmatch(tail):
        raise ValueError(f"contains a character that must be escaped, perhaps in the password: write {_ESCAPES}")
    host = _HOST.fullmatch(place)
    if not host or int(host[2] or 1) not in range(1, 65536):
        raise ValueError(
            f"needs a host, and a port if it is not the usual one, as in {_EXAMPLE}; in user and "
            f"password write {_ESCAPES}"
        )
    try:
        urlsplit(url)
    except ValueError:
        valid = False
    else:
        valid = True
    if not valid:
        # Not in the handler: the library's own message repeats the address.
        raise ValueError(f"needs an address such as {_EXAMPLE}")
    return f"{scheme.lower()}://{place}"
