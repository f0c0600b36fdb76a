"""What a flag says, in Japanese: each sentence of `studio.reasons` under its kind and name, and the things it names."""

from __future__ import annotations

import re
from collections.abc import Mapping

from studio import reasons

JA: Mapping[str, Mapping[str, str]] = {
    "duplicate": {"same": "質問と回答が、ほかの例と同じです。"},
    "near-duplicate": {"near": "質問がほぼ同じで、回答も{share}が一致しています。"},
    "contradiction": {
        "same": "同じ質問に、回答が二通りあります：「{one}」と「{other}」。",
        "alike": "よく似た質問に、回答が二通りあります：「{one}」と「{other}」。",
        "same_before": "同じ質問に、別の回答があります：「{one}」と「{other}」。",
        "alike_before": "よく似た質問に、別の回答があります：「{one}」と「{other}」。",
    },
    "empty": {
        "answer": "回答が空です。",
        "says_only": "回答が「{text}」だけです。",
        "question": "質問が空です。",
        "no_question": "質問がありません。",
    },
    "too-long": {"tokens": "この例は{tokens}トークンで、上限の{limit}トークンを超えています。"},
    "truncated": {
        "code": "コードの囲みが閉じられていません。",
        "item": "最後の箇条書きが、記号だけで文がありません。",
        "bracket": "かっこ「{mark}」が閉じられていません。",
        "begins": "回答が「{text}」で終わっています。普通はこのあとに言葉が続きます。",
        "half": "回答が「{text}」で終わっています。ほかの例にある、もっと長い語の途中のようです。",
        "never_last": "「{text}」はほかに{times}回出てきますが、これで終わる文はほかになく、句点もありません。",
        "never_last_two": "「{text}」はほかに{times}回出てきますが、これで終わる文はほかにありません。",
        "one_word": "最後の文が「{text}」の一語だけです。",
        "goes_on": "回答が「{text}」で終わっています。普通は文がまだ続きます。",
        "no_stop": "最後の文が「{text}」で終わり、前の文と違って句点がありません。",
        "mark": "回答が「{text}」で終わっています。",
    },
    "language": {
        "row": "この例は全体が{told}です。プロジェクトの言語は{expected}です。",
        "answer": "回答が{told}です。プロジェクトの言語は{expected}です。",
    },
    "format": {
        "form": "この回答は{odd}です。ほかの{share}は{usual}です。",
        "end": "この回答の終わりは「{odd}」です。ほかの{share}は「{usual}」です。",
        "start": "この回答の始まりは「{odd}」です。ほかの{share}は「{usual}」です。",
        "label": "ラベルが「{own}」と書かれています。ほかの{times}件は「{usual_label}」です。",
    },
    "pii": {"found": "{what}：{text}"},
    "secret": {"found": "{what}：{text}…"},
    "control-token": {"mark": "「{text}」が入っています。これは会話の区切りとして使われる記号です。"},
    "rule": {
        "must_contain": "回答に「{text}」を必ず入れてください。",
        "must_not_contain": "回答に「{text}」を入れないでください。",
        "max_words": "回答は{words}語です。{limit}語までにしてください（日本語は1文字を1語と数えます）。",
        "regex": "回答がパターン {text} に合いません。",
        "regex_slow": "この回答ではパターン {text} の照合に時間がかかりすぎました。もっと簡単にしてください。",
        "json": "回答がJSONではありません。",
        "json_fence": "回答がJSONではありません。前後の ``` を取ってください。",
        "json_place": "回答がJSONではありません。{line}行目の{character}文字目が合いません。",
        "schema_required": "回答のJSONの{place}に「{text}」がありません。",
        "schema_type": "回答のJSONの{place}は{type}でなければなりません。",
        "schema_enum": "回答のJSONの{place}が、許された値のどれでもありません。",
        "schema_extra": "回答のJSONの{place}に、許されていない項目があります。",
        "schema": "回答のJSONの{place}が、スキーマの {keyword} に合いません。",
        "schema_unusable": "規則のスキーマが使えません。「ガイドライン」で直してください。",
        "json_before": "回答がJSONではありません。{line}行目の{character}文字目が合いません。",
        "schema_before": "回答のJSONがスキーマに合いません。",
    },
    "leak": {
        "near": "{side}の例とほぼ同じです。どちらかを変えるまで、{own_side}には使いません。",
        "given_away": "{side}の例とほぼ同じです。これで学習すると、{side}の答えを教えることになります。",
    },
}

THINGS: Mapping[str, str] = {
    "English": "英語", "Japanese": "日本語", "German": "ドイツ語", "French": "フランス語", "Spanish": "スペイン語",
    "Italian": "イタリア語", "Dutch": "オランダ語", "Portuguese": "ポルトガル語", "Chinese": "中国語",
    "Korean": "韓国語", "Russian": "ロシア語", "Polish": "ポーランド語", "Swedish": "スウェーデン語",
    "JSON": "JSON", "code": "コード", "a table": "表", "a list": "箇条書き", "a word or two": "一、二語",
    "text": "文章",
    "a full stop": "句点あり", "no full stop": "句点なし", "a capital letter": "大文字", "a small letter": "小文字",
    "E-mail address": "メールアドレス", "Telephone number": "電話番号", "Card number": "カード番号",
    "Bank account (IBAN)": "銀行口座（IBAN）", "Social security number": "社会保障番号",
    "My Number (個人番号)": "マイナンバー", "Postal address": "住所", "IP address": "IPアドレス",
    "API key": "APIキー", "Password": "パスワード", "Password in a web address": "URLの中のパスワード",
    "Sign-in token (JWT)": "サインイン用トークン（JWT）", "Private Key": "秘密鍵",
    "AWS Access Key": "AWSのアクセスキー", "Artifactory Credentials": "Artifactoryの認証情報",
    "Azure Storage Account access key": "Azureストレージのアクセスキー", "Discord Bot Token": "Discordボットのトークン",
    "GitHub Token": "GitHubのトークン", "GitLab Token": "GitLabのトークン",
    "Mailchimp Access Key": "Mailchimpのアクセスキー", "NPM tokens": "npmのトークン",
    "OpenAI Token": "OpenAIのトークン",
    "PyPI Token": "PyPIのトークン", "SendGrid API Key": "SendGridのAPIキー", "Slack Token": "Slackのトークン",
    "Square OAuth Secret": "SquareのOAuthの秘密情報", "Stripe Access Key": "Stripeのアクセスキー",
    "Telegram Bot Token": "Telegramボットのトークン", "Twilio API Key": "TwilioのAPIキー",
    "not": "否定", "days": "日", "hours": "時間", "minutes": "分", "euros": "ユーロ", "dollars": "ドル",
    "pounds": "ポンド", "yen": "円",
    "train": "学習用", "validation": "検証用", "test": "テスト用",
    "string": "文字列", "number": "数値", "integer": "整数", "boolean": "真偽値", "array": "配列",
    "object": "オブジェクト", "null": "null",
    "the top level": "最上位",
}  # fmt: skip
"""By the English word. Only where a sentence names one: what a row says itself stays as it is."""


def say(kind: str, reason: str, language: str) -> str:
    """A flag's reason in one language; in the expert's own words it stays as it is."""
    found = reasons.read(kind, reason) if language == "ja" else None
    if found is None:
        return reason
    name, evidence = found
    return JA[kind][name].format(**{place: _named(place, text) for place, text in evidence.items()})


def _named(place: str, text: str) -> str:
    known = reasons.things(place)
    if text in known:
        return THINGS[text]
    if not known:
        return text
    # Numbers with units, as `14 days, 21 days`.
    return re.sub(r"(?<=\d) ([a-z]+)\b", lambda m: THINGS[m[1]] if m[1] in known else m[0], text).replace(", ", "、")
