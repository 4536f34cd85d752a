"""Learn a vocabulary of the user's own genres from songs that have one, and judge it on held-out songs.

Learning reads the analyses that the store has; it never opens a file and changes none.
"""

from genrify_tagger.learn.learning import learn_vocabulary
from genrify_tagger.learn.outcome import Learned, save_vocabulary

__all__ = ["Learned", "learn_vocabulary", "save_vocabulary"]
