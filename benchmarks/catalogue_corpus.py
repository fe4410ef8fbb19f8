"""A made-up archive: lessons with titles, schools, notes and chat, as Chinese schools have them.

The same seed makes the same archive. How often a word comes follows Zipf's law, as in any text.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from recorder.archive.layout import Audio, Entry, Manifest, View, entry_from_id
from recorder.archive.talk import Message, Talk

_SUBJECTS = ("数学", "语文", "英语", "物理", "化学", "生物", "历史", "地理", "音乐", "美术", "科学")
_GRADES = tuple(f"{number}年级" for number in "一二三四五六七八九")
_PLACES = ("山顶", "海边", "河湾", "松林", "石桥", "白云", "红旗", "新村", "东风", "高原", "竹溪")
_WORDS = """
分数 加法 减法 乘法 除法 小数 方程 几何 三角 圆周 面积 体积 比例 函数 概率 统计 图形 对称
坐标 整数 古诗 作文 阅读 汉字 拼音 成语 散文 寓言 童话 书法 词语 句子 段落 修辞 标点 朗读
背诵 小说 力学 电路 光学 声音 热量 磁场 能量 速度 密度 压强 原子 分子 元素 溶液 氧气 燃烧
金属 细胞 植物 动物 昆虫 遗传 生态 食物 唐朝 宋代 长城 丝绸 之路 运河 地图 气候 河流 山脉
高原 沙漠 海洋 人口 城市 节奏 旋律 合唱 水彩 素描 剪纸 实验 观察 记录 复习 练习 考试 预习
讨论 问题 答案 方法 步骤 例题 作业 老师 同学 明白 为什么 怎么样 再讲一遍 听不清 看不见 谢谢
可以 第一 第二 第三 课本 黑板
"""
_LATIN = """
fractions addition grammar vocabulary listening reading present past future verbs nouns
story weather animals family numbers colours review homework exercise unit lesson practice
dialogue energy light sound force circuit experiment music rhythm history geography map
river
"""
_CHINESE, _ENGLISH = tuple(_WORDS.split()), tuple(_LATIN.split())
_CHARACTERS = sorted(set("".join(_CHINESE)))
_DAY = 86_400


@dataclass(frozen=True)
class Corpus:
    """So many lessons of so many schools."""

    lessons: int
    seed: int = 1

    def entries(self) -> Iterator[tuple[Entry, list[Message]]]:
        """Each lesson, and what was written in it, the oldest first."""
        chance = random.Random(self.seed)
        for number in range(self.lessons):
            yield _lesson(chance, number, self.lessons)

    def write(self, data_dir: Path) -> None:
        """Archived folders, without their media."""
        for entry, said in self.entries():
            folder = data_dir / "lessons" / entry.id
            folder.mkdir(parents=True)
            manifest = json.dumps(asdict(Manifest(entry)), ensure_ascii=False)
            (folder / "manifest.json").write_text(manifest)
            talk = Talk()
            for message in said:
                talk.add(message.t, {"name": message.name, "text": message.text})
            talk.write(folder)


def _lesson(chance: random.Random, number: int, of: int) -> tuple[Entry, list[Message]]:
    """Five a school day and class or so, over three years."""
    began = 1_700_000_000 + number * (3 * 365 * _DAY) // of
    school = int(200 * chance.random() ** 2)
    subject = int(len(_SUBJECTS) * chance.random() ** 1.5)
    grade = chance.choice(_GRADES)
    topic = _sentence(chance, 2)
    english = _SUBJECTS[subject] == "英语"
    made = entry_from_id(f"{_stamp(began)}-class{school:03d}-{number % 65_536:04x}")
    entry = replace(
        made,
        title=f"Unit {chance.randint(1, 12)}: {_latin(chance, 3)}" if english else topic,
        state="complete" if chance.random() < 0.97 else "recovered",
        duration_s=round(chance.gauss(2_700, 300), 3),
        poster="poster.jpg",
        bytes=chance.randint(100, 900) * 1_000_000,
        views=(View("camera", "H264", 1280, 720, hls="camera.m3u8"),),
        audio=Audio("opus", "audio.m3u8"),
        school=f"{_PLACES[school % len(_PLACES)]}第{school + 1}小学",
        subject=_SUBJECTS[subject],
        grade=grade,
        teacher=f"教师{chance.randint(1, 1_000)}",
        series=f"{grade}{_SUBJECTS[subject]}{began // (180 * _DAY)}",
        language="en" if english else "zh-CN",
        notes=_sentence(chance, 12) + (_latin(chance, 6) if english else ""),
    )
    said = [
        Message(float(place * 60), f"学生{chance.randint(1, 40)}", _sentence(chance, 4))
        for place in range(int(40 * chance.random() ** 2))
    ]
    return entry, said


def _sentence(chance: random.Random, words: int) -> str:
    """Half of it common words, half pairs of characters that are seldom seen together."""
    return "的".join(
        _often(chance, _CHINESE)
        if chance.random() < 0.5
        else chance.choice(_CHARACTERS) + chance.choice(_CHARACTERS)
        for _ in range(words)
    )


def _latin(chance: random.Random, words: int) -> str:
    return " ".join(_often(chance, _ENGLISH) for _ in range(words))


def _often(chance: random.Random, words: tuple[str, ...]) -> str:
    """A word; the first ones more often."""
    return words[min(len(words) - 1, int(len(words) ** chance.random()) - 1)]


def _stamp(unix: int) -> str:
    return datetime.fromtimestamp(unix, UTC).strftime("%Y%m%d-%H%M%S")
