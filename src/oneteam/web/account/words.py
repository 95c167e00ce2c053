"""Words of the account pages."""

from __future__ import annotations

from typing import Final

from oneteam.core.model import Text

WORDS: Final[dict[str, Text]] = {
    "account.nav": Text(en="Accounts", ko="계정 관리"),
    "account.role.viewer": Text(en="viewer", ko="열람자"),
    "account.role.analyst": Text(en="analyst", ko="분석가"),
    "account.role.steward": Text(en="steward", ko="데이터 관리자"),
    "account.role.privacy_officer": Text(en="privacy officer", ko="개인정보 보호책임자"),
    "account.sign_in": Text(en="Sign in", ko="로그인"),
    "account.sign_in_lead": Text(
        en="Accounts are this node's own. A steward makes them.", ko="계정은 이 노드에만 있습니다. 데이터 관리자가 만듭니다."
    ),
    "account.first": Text(
        en="Nobody has an account yet. The first one is made on this machine:",
        ko="아직 계정이 없습니다. 첫 계정은 이 컴퓨터에서 만듭니다:",
    ),
    "account.name": Text(en="Name", ko="이름"),
    "account.password": Text(en="Password", ko="비밀번호"),
    "account.wrong": Text(en="Name and password do not fit.", ko="이름과 비밀번호가 맞지 않습니다."),
    "account.wait": Text(
        en="Too many attempts. Try again in {seconds} seconds.", ko="시도가 너무 많습니다. {seconds}초 뒤에 다시 하십시오."
    ),
    "account.mine": Text(en="My account", ko="내 계정"),
    "account.roles": Text(en="Roles", ko="역할"),
    "account.change": Text(en="Change the password", ko="비밀번호 바꾸기"),
    "account.old": Text(en="Present password", ko="현재 비밀번호"),
    "account.new": Text(en="New password", ko="새 비밀번호"),
    "account.rule": Text(
        en="At least 12 letters; several words are easy to remember.", ko="12자 이상. 여러 낱말을 이으면 기억하기 쉽습니다."
    ),
    "account.changed": Text(
        en="The password is changed. Every other session of this account has ended.",
        ko="비밀번호를 바꾸었습니다. 이 계정의 다른 로그인은 모두 끝났습니다.",
    ),
    "account.others": Text(en="Who may sign in here", ko="이 노드에 로그인할 수 있는 사람"),
    "account.others_lead": Text(
        en="Accounts of this node alone. What is changed here takes effect with the next request.",
        ko="이 노드만의 계정입니다. 바꾸면 다음 요청부터 적용됩니다.",
    ),
    "account.add": Text(en="Add an account", ko="계정 추가"),
    "account.added": Text(en="'{name}' may sign in now.", ko="이제 '{name}'이(가) 로그인할 수 있습니다."),
    "account.state": Text(en="State", ko="상태"),
    "account.enabled": Text(en="may sign in", ko="사용 중"),
    "account.disabled": Text(en="shut out", ko="사용 중지"),
    "account.made": Text(en="Made", ko="만든 날"),
    "account.disable": Text(en="Shut out", ko="사용 중지"),
    "account.enable": Text(en="Let in again", ko="다시 사용"),
    "account.you": Text(en="you", ko="본인"),
    "account.action": Text(en="Action", ko="처리"),
}
