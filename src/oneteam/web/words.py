"""Words of errors, for people who know no code of ours, and of the page about the API."""

from __future__ import annotations

from typing import Final

from oneteam.core.model import Text

WORDS: Final[dict[str, Text]] = {
    "api.lead": Text(
        en="The same as the pages, for programs: JSON, with the session of whoever is signed in.",
        ko="화면과 같은 내용을 프로그램용 JSON으로 제공합니다. 로그인한 세션을 사용합니다.",
    ),
    "api.address": Text(en="Address", ko="주소"),
    "api.method": Text(en="Method", ko="방식"),
    "api.what": Text(en="What", ko="내용"),
    "error.title": Text(en="This did not work", ko="처리하지 못했습니다"),
    "error.code": Text(en="Code", ko="오류 코드"),
    "error.details": Text(en="What exactly", ko="자세한 내용"),
    "error.hint": Text(en="What to do", ko="해결 방법"),
    "error.back": Text(en="To the first page", ko="첫 화면으로"),
    "error.internal": Text(
        en="Something went wrong on this node. It is written in the node's log.",
        ko="이 노드에서 문제가 생겼습니다. 노드의 기록에 남았습니다.",
    ),
    "error.input": Text(en="What was sent cannot be used.", ko="보낸 내용을 처리할 수 없습니다."),
    "error.input.not_there": Text(en="There is nothing at this address.", ko="이 주소에는 아무것도 없습니다."),
    "error.storage": Text(en="The disk, or a dataset on it, is in the way.", ko="저장 장치나 데이터 집합에 문제가 있습니다."),
    "error.engine": Text(en="Something that this needs is not installed or not running.", ko="필요한 구성 요소가 설치되지 않았습니다."),
    "error.trust": Text(en="This cannot be trusted, so it was refused.", ko="신뢰할 수 없어 거부했습니다."),
    "error.trust.log": Text(en="The log is not what it was.", ko="기록이 원래와 다릅니다."),
    "error.trust.sign_in": Text(en="Please sign in.", ko="로그인이 필요합니다."),
    "error.trust.forbidden": Text(
        en="Your account may not do this, or the form was too old.",
        ko="이 계정으로는 할 수 없거나, 양식이 너무 오래되었습니다.",
    ),
    "error.wire": Text(en="Somebody could not be reached.", ko="상대에게 연결할 수 없습니다."),
    "error.wire.too_large": Text(en="What was sent is too large.", ko="보낸 내용이 너무 큽니다."),
    "error.wire.busy": Text(en="Too many requests in too short a time.", ko="짧은 시간에 요청이 너무 많습니다."),
}
