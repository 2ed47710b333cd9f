"""Adapting to one's own data: learned words, and fine-tuning of the backbone."""

from detail_embed.adapt.learn_words import LearnedWords, learn_words
from detail_embed.adapt.lesson import Lesson

__all__ = ["LearnedWords", "Lesson", "learn_words"]
