"""Purposes that an Agreement may have: terms of the Data Privacy Vocabulary, with a label in both languages.

Source: Data Privacy Vocabulary (DPV) 2.3, taxonomy of purposes, https://w3id.org/dpv#purposes. The root, ``dpv:Purpose``, is left out: it
says nothing. The Korean labels are this project's.
"""

from __future__ import annotations

import difflib
import re
from typing import Final

from oneteam.core.errors import UnknownValueError
from oneteam.core.model import Text

DPV: Final = "https://w3id.org/dpv#"
"""Namespace of the terms."""

_KOREAN: Final = {
    "AcademicResearch": "학술 연구",
    "AccountManagement": "계정 관리",
    "Advertising": "광고",
    "AgeVerification": "연령 확인",
    "CombatClimateChange": "기후 변화 대응",
    "CommercialPurpose": "상업적 목적",
    "CommercialResearch": "상업적 연구",
    "CommunicationForCustomerCare": "고객 지원 연락",
    "CommunicationManagement": "연락 관리",
    "CounterMoneyLaundering": "자금 세탁 방지",
    "Counterterrorism": "테러 대응",
    "CreditChecking": "신용 조회",
    "CustomerCare": "고객 지원",
    "CustomerClaimsManagement": "고객 청구 관리",
    "CustomerManagement": "고객 관리",
    "CustomerOrderManagement": "고객 주문 관리",
    "CustomerRelationshipManagement": "고객 관계 관리",
    "CustomerSolvencyMonitoring": "고객 지급 능력 점검",
    "DataAltruism": "데이터 이타주의",
    "DeliveryOfGoods": "물품 배송",
    "DirectMarketing": "직접 마케팅",
    "DisputeManagement": "분쟁 관리",
    "EnforceAccessControl": "접근 통제",
    "EnforceSecurity": "보안 확보",
    "EstablishContractualAgreement": "계약 체결",
    "FraudPreventionAndDetection": "사기 예방·탐지",
    "FulfilmentOfContractualObligation": "계약 의무 이행",
    "FulfilmentOfObligation": "의무 이행",
    "HumanResourceManagement": "인적 자원 관리",
    "IdentityAuthentication": "신원 인증",
    "IdentityVerification": "신원 확인",
    "ImproveExistingProductsAndServices": "기존 제품·서비스 개선",
    "ImproveHealthcare": "보건의료 개선",
    "ImproveInternalCRMProcesses": "내부 고객 관계 업무 개선",
    "ImprovePublicServices": "공공 서비스 개선",
    "ImproveTransportMobility": "교통·이동 개선",
    "IncreaseServiceRobustness": "서비스 안정성 향상",
    "InternalResourceOptimisation": "내부 자원 최적화",
    "LegalCompliance": "법적 의무 준수",
    "MaintainFraudDatabase": "사기 데이터베이스 유지",
    "Marketing": "마케팅",
    "MemberPartnerManagement": "회원·협력사 관리",
    "MisusePreventionAndDetection": "오남용 예방·탐지",
    "NonCommercialPurpose": "비상업적 목적",
    "NonCommercialResearch": "비상업적 연구",
    "OptimisationForConsumer": "소비자를 위한 최적화",
    "OptimisationForController": "처리자를 위한 최적화",
    "OptimiseUserInterface": "사용자 화면 최적화",
    "OrganisationComplianceManagement": "조직 준법 관리",
    "OrganisationGovernance": "조직 운영",
    "OrganisationRiskManagement": "조직 위험 관리",
    "PaymentManagement": "결제 관리",
    "Personalisation": "개인화",
    "PersonalisedAdvertising": "개인화 광고",
    "PersonalisedBenefits": "개인화 혜택",
    "PersonnelBehaviourMonitoring": "직원 행동 점검",
    "PersonnelHiring": "채용",
    "PersonnelManagement": "인사 관리",
    "PersonnelMonitoring": "직원 점검",
    "PersonnelOffboarding": "퇴사 절차",
    "PersonnelOnboarding": "입사 절차",
    "PersonnelPayment": "급여 지급",
    "PersonnelPerformanceEvaluation": "직원 성과 평가",
    "PersonnelPerformanceManagement": "직원 성과 관리",
    "PersonnelPerformanceMonitoring": "직원 성과 점검",
    "PersonnelPerformancePrediction": "직원 성과 예측",
    "PersonnelPromotionManagement": "승진 관리",
    "PersonnelTerminationManagement": "고용 종료 관리",
    "PersonnelWorkloadManagement": "업무량 관리",
    "PoliticalCampaign": "정치 캠페인",
    "ProtectionOfIPR": "지식재산권 보호",
    "ProtectionOfNationalSecurity": "국가 안보",
    "ProtectionOfPublicSecurity": "공공 안전 보호",
    "ProvideEventRecommendations": "행사 추천",
    "ProvideOfficialStatistics": "공식 통계 제공",
    "ProvidePersonalisedRecommendations": "개인화 추천",
    "ProvideProductRecommendations": "제품 추천",
    "PublicBenefit": "공익",
    "PublicPolicyMaking": "공공 정책 수립",
    "PublicRelations": "홍보",
    "RecordManagement": "기록 관리",
    "RecruitmentAdvertising": "채용 광고",
    "RecruitmentManagement": "모집 관리",
    "RepairImpairments": "장애 수리",
    "RequestedServiceProvision": "요청받은 서비스 제공",
    "ResearchAndDevelopment": "연구 개발",
    "RightsFulfilment": "권리 이행",
    "ScientificResearch": "과학 연구",
    "SearchFunctionalities": "검색 기능",
    "SellDataToThirdParties": "제삼자에게 데이터 판매",
    "SellInsightsFromData": "데이터 분석 결과 판매",
    "SellProducts": "제품 판매",
    "SellProductsToDataSubject": "정보 주체에게 제품 판매",
    "ServiceAccessDetermination": "서비스 이용 자격 판단",
    "ServiceManagement": "서비스 관리",
    "ServiceMonitoring": "서비스 점검",
    "ServiceOptimisation": "서비스 최적화",
    "ServicePersonalisation": "서비스 개인화",
    "ServiceProvision": "서비스 제공",
    "ServiceRegistration": "서비스 등록",
    "ServiceUsageAnalytics": "서비스 이용 분석",
    "SocialMediaMarketing": "소셜 미디어 마케팅",
    "TargetedAdvertising": "표적 광고",
    "TechnicalServiceProvision": "기술 서비스 제공",
    "UserInterfacePersonalisation": "사용자 화면 개인화",
    "VendorManagement": "공급사 관리",
    "VendorPayment": "공급사 대금 지급",
    "VendorRecordsManagement": "공급사 기록 관리",
    "VendorSelectionAssessment": "공급사 선정 평가",
    "Verification": "확인",
}
_SPELLED: Final = {
    "ImproveInternalCRMProcesses": "improve internal customer relations",
    "ProtectionOfIPR": "protection of intellectual property",
    "ImproveTransportMobility": "improve transport and mobility",
    "MemberPartnerManagement": "management of members and partners",
}

PURPOSES: Final = tuple(f"dpv:{term}" for term in _KOREAN)
"""Every term that an Agreement may name."""


def purpose_label(term: str) -> Text:
    """What a purpose is called.

    Args:
        term: as ``dpv:PublicBenefit``.

    Raises:
        UnknownValueError: no such term.

    >>> purpose_label("dpv:ProvideOfficialStatistics")
    Text(en='provide official statistics', ko='공식 통계 제공')
    """
    if term not in PURPOSES:
        near = difflib.get_close_matches(term, PURPOSES, n=3, cutoff=0.4)
        raise UnknownValueError(
            f"purpose {term!r} is no term of the Data Privacy Vocabulary",
            hint=f"Did you mean {' or '.join(near)}?" if near else "Terms: https://w3id.org/dpv#purposes, as dpv:PublicBenefit.",
        )
    name = term.removeprefix("dpv:")
    english = _SPELLED.get(name) or " ".join(re.findall(r"[A-Z][a-z]+", name)).lower()
    return Text(en=english, ko=_KOREAN[name])


def purpose_iri(term: str) -> str:
    """The term's address.

    >>> purpose_iri("dpv:PublicBenefit")
    'https://w3id.org/dpv#PublicBenefit'
    """
    return DPV + term.removeprefix("dpv:")
