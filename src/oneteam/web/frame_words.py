"""Words of the frame that every page stands in, and of the shared pieces in ``parts.html``."""

from __future__ import annotations

from typing import Final

from oneteam.core.model import Text

WORDS: Final[dict[str, Text]] = {
    "frame.skip": Text(en="Skip to content", ko="본문으로 건너뛰기"),
    "frame.home": Text(en="oneteam: first page", ko="oneteam 첫 화면"),
    "frame.nav": Text(en="Pages", ko="페이지"),
    "frame.language": Text(en="Language", ko="언어"),
    "frame.theme": Text(en="Colours", ko="화면 색"),
    "frame.theme.auto": Text(en="As the device", ko="기기 설정"),
    "frame.theme.light": Text(en="Light", ko="밝게"),
    "frame.theme.dark": Text(en="Dark", ko="어둡게"),
    "frame.account": Text(en="Account", ko="계정"),
    "frame.sign_in": Text(en="Sign in", ko="로그인"),
    "frame.sign_out": Text(en="Sign out", ko="로그아웃"),
    "frame.data_to": Text(en="Data to", ko="자료 기준일"),
    "frame.version": Text(en="oneteam", ko="oneteam"),
    "frame.stays": Text(en="No request leaves this machine.", ko="이 화면은 외부로 아무것도 보내지 않습니다."),
    "frame.api": Text(en="API", ko="API"),
    "parts.numbers": Text(en="The numbers", ko="수치 표"),
    "parts.download": Text(en="Download", ko="내려받기"),
    "parts.loading": Text(en="Drawing …", ko="그리는 중 …"),
    "parts.failed": Text(
        en="The chart could not be drawn. The numbers are below.", ko="그림을 그리지 못했습니다. 아래 수치 표를 보십시오."
    ),
    "parts.validated": Text(en="Validated", ko="검증됨"),
    "parts.half": Text(en="Partly validated", ko="일부 검증"),
    "parts.none": Text(en="Not validated", ko="검증 안 됨"),
    "parts.not_made": Text(en="Not made yet", ko="아직 만들지 않음"),
    "parts.make_it": Text(en="Make it with", ko="만드는 명령"),
    "parts.spent": Text(en="spent", ko="사용"),
    "parts.left": Text(en="left", ko="남음"),
    "parts.of": Text(en="of", ko="/"),
    "parts.nothing": Text(en="Nothing here.", ko="없습니다."),
}
