"""What a user may ask for each task: paraphrases in our own words, one drawn for each sample and epoch.

A template with {question} wants the data set's own question; a record of such a task brings its text itself.
"""

import hashlib
from difflib import get_close_matches

from earsight.errors import EarsightError

QUESTION = "{question}"
_ASKED = (  # a question of the data set's, alone or with a word about what it is asked of
    "{question}",
    "Please answer this question: {question}",
    "Answer briefly. {question}",
    "Here is a question for you. {question}",
)


def _asked_of(what: str) -> tuple[str, ...]:
    return (
        "{question}",
        f"Answer a question about {what}: {QUESTION}",
        f"Going by {what}, {QUESTION}",
        f"Use {what} to answer. {QUESTION}",
        f"{QUESTION} Rely on {what} alone.",
    )


def _translations(language: str) -> tuple[str, ...]:
    return (
        f"Translate what is said into {language}.",
        f"Give the {language} translation of this speech.",
        f"Put the speaker's words into {language}.",
        f"How would one say this in {language}?",
        f"Listen, then write in {language} what the speaker says.",
        f"Write down a {language} version of what you hear.",
    )


PROMPTS: dict[str, tuple[str, ...]] = {
    "asr": (
        "Transcribe the speech into text.",
        "Write down what the speaker says.",
        "What words are spoken here?",
        "Give the exact words of this recording.",
        "Turn this speech into written text.",
        "Please note down, word for word, what you hear being said.",
        "Type out the spoken words.",
        "What does the person in the recording say?",
    ),
    "asr_zh": (
        "Transcribe the Chinese speech.",
        "Write down what is said in Chinese.",
        "Which Chinese words are spoken here?",
        "Give the exact wording of this Chinese recording.",
    ),
    "asr_de": (
        "Transcribe the German speech.",
        "Write down what is said in German.",
        "Which German words are spoken here?",
        "Give the exact wording of this German recording.",
    ),
    "av_asr": (
        "Transcribe the speech in the video, looking as well as listening.",
        "Write down what is said in this video; the picture may help you.",
        "What does the speaker in the video say?",
        "Give the spoken words, using both sound and picture.",
        "Note what you hear being said, and let what you see settle doubts.",
    ),
    "diarized_asr": (
        "Write down who says what, speaker by speaker.",
        "Transcribe the conversation and mark every change of speaker.",
        "Give each speaker's words in order, with a label for the speaker.",
        "Note the dialogue as a script with numbered speakers.",
    ),
    "lyrics_recognition": (
        "Write down the words that are sung.",
        "What are the lyrics of this song?",
        "Give the text of the singing.",
        "Transcribe the sung words.",
    ),
    "translation_en_zh": _translations("Chinese"),
    "translation_en_de": _translations("German"),
    "translation_en_ja": _translations("Japanese"),
    "audio_caption": (
        "Describe the sound.",
        "What can be heard here?",
        "Say in a sentence what is going on in this recording.",
        "Tell me which sounds occur.",
        "Write a caption for this audio.",
        "Summarise what you hear.",
        "Give a short account of the sounds.",
    ),
    "audio_speech_description": (
        "Describe the sounds, and write down what is said.",
        "What is said here, and what else can be heard?",
        "Give the spoken words and the sounds around them.",
        "Tell me about the speech and about the background.",
    ),
    "phone_recognition": (
        "Write the speech as a sequence of phones.",
        "Which phonemes are spoken?",
        "Give a phonetic transcription of this recording.",
        "Spell out the sounds of the speech, phone by phone.",
        "Break the speech down into its phones.",
    ),
    "emotion_recognition": (
        "Which emotion does the speaker show? Answer with one word.",
        "How does the speaker feel? Give one word.",
        "Name the emotion in this voice.",
        "Tell in a single word the mood of the person speaking.",
        "Judge the speaker's emotional state; one word will do.",
    ),
    "music_caption": (
        "Describe this piece of music.",
        "What kind of music is this, and how does it sound?",
        "Write a few sentences about the music: instruments, mood, tempo.",
        "Tell me what characterises this music.",
        "Give a caption for this musical excerpt.",
    ),
    "overlapped_asr": (
        "Several people speak at once. Write down what each of them says.",
        "Separate the overlapping voices and transcribe every one.",
        "Give the words of each speaker in this mixture.",
        "Two voices are mixed here; note what both say.",
        "Transcribe all the speakers who talk over one another.",
    ),
    "speaker_verification": (
        "Is it the same person speaking in both recordings? Answer yes or no.",
        "Do both stretches of speech come from one speaker? Say yes or no.",
        "One voice or two different ones? Answer yes if it is the same speaker, else no.",
        "Compare the voices. Are they the same person's? Yes or no?",
    ),
    "gender_recognition": (
        "Is the speaker male or female?",
        "What is the speaker's gender?",
        "Does a man or a woman speak? Answer male or female.",
        "Tell from the voice whether the speaker is female or male.",
        "Judge the gender of the person talking.",
    ),
    "speech_qa": _asked_of("what is said"),
    "audio_qa": _asked_of("the sound"),
    "music_qa": _asked_of("the music"),
    "keywords": (
        "List the key words of this speech.",
        "Which terms matter most in what is said?",
        "Give me the keywords of the talk, separated by commas.",
        "Pick out the most important words and phrases.",
        "What are the main topics spoken of? Answer with keywords.",
    ),
    "slot_filling": _asked_of("the spoken request"),
    "image_caption": (
        "Describe the image.",
        "What does the picture show?",
        "Write a one-sentence caption for this image.",
        "Tell me briefly what can be seen.",
        "Give a short account of this picture.",
        "Summarise the image in a sentence.",
    ),
    "text_caption": (
        "Describe the image, and mention the text in it.",
        "What does the picture show, and what is written there?",
        "Caption this image; take the words that can be read into account.",
        "Say what you see, including any lettering.",
    ),
    "visual_qa": _asked_of("the picture"),
    "ocr_qa": _asked_of("the text in the image"),
    "image_conversation": _asked_of("the picture"),
    "video_qa": _asked_of("the video"),
    "video_choice": _asked_of("the video"),
    "video_conversation": _asked_of("the video"),
    "video_caption": (
        "Describe the video.",
        "What happens in this clip?",
        "Tell what the video shows from beginning to end.",
        "Summarise what can be seen in the video.",
        "Give an account of the events in this footage.",
        "Write a caption for the video.",
    ),
    "av_description": (
        "Describe what can be seen and heard in the video.",
        "Give an account of picture and sound together.",
        "What happens here, to the eye and to the ear?",
        "Tell me about this clip: what it shows and what it sounds like.",
        "Describe the scene, and do not leave out its sounds.",
        "Write a description that covers both the visible and the audible.",
    ),
    "av_qa": _asked_of("the video and its sound"),
    "av_dialogue": _asked_of("the video and its sound"),
    "av_matching": (
        "Do sound and picture belong together? Answer yes or no.",
        "Does the sound fit what is shown? Yes or no?",
        "Say whether the audio matches the picture: yes or no.",
        "Is this the sound of what can be seen? Answer yes or no.",
        "Could the sound come from this scene? Yes or no?",
    ),
    "av_source": (
        "Where does the sound come from?",
        "What in the picture makes the sound?",
        "Name the source of the sound that you hear.",
        "Which visible thing can be heard?",
        "Find out what is sounding in this scene.",
    ),
    "spoken_caption_matching": (
        "Does the spoken sentence describe the picture? Answer yes or no.",
        "Listen to the description. Does it fit the image? Yes or no?",
        "Say whether the picture is the one spoken of: yes or no.",
        "Do the words you hear match what you see? Answer yes or no.",
    ),
    "av_event": (
        "Which event is both seen and heard, and from when to when?",
        "Name the event that shows in picture and sound, with its times in seconds.",
        "What happens to be visible and audible here, and when does it begin and end?",
        "Give the audio-visual event of this clip and the seconds between which it takes place.",
    ),
    "av_events": (
        "List the events that can be seen or heard in this clip.",
        "Which kinds of events occur in the video, to the eye or to the ear?",
        "Name all the events in picture and sound.",
        "What takes place here? Give the events, separated by commas.",
    ),
    "av_parsing": (
        "For hearing and for seeing, list the events with their times.",
        "What is heard and when, and what is seen and when?",
        "Tell the audible events apart from the visible ones, each with its seconds.",
        "Parse the clip: which events are heard, which are seen, and from when to when?",
    ),
    "av_localisation": (
        "Where in the picture is what sounds? Give boxes as [left, top, right, bottom], in shares of width and height.",
        "Mark the source of the sound with [left, top, right, bottom], each between 0 and 1.",
        "Give the place of the sounding thing as a box: [left, top, right, bottom], from 0 to 1.",
        "Which part of the image makes the sound? Answer with boxes of four shares: left, top, right, bottom.",
    ),
    "sound_events": (
        "Which kinds of sound occur? Separate them by semicolons.",
        "List the classes of the sounds in this clip.",
        "Name every sort of sound that can be heard.",
        "Tag the sounds of this recording.",
    ),
    "instruments": (
        "Which instruments are played?",
        "Name the instruments of this performance.",
        "What are the musicians playing?",
        "Say which instruments can be seen and heard.",
    ),
    "story": (
        "Make up a story that goes with what you hear.",
        "Let the sounds inspire a short story, and tell it.",
        "Write a tale in which these sounds occur.",
        "Invent a story set in the place that you hear.",
        "Tell me a story based on this recording.",
    ),
}


def tasks() -> list[str]:
    """The tasks that have prompts."""
    return sorted(PROMPTS)


def lacking(task: str) -> str:
    """Why a record of this task needs a text of its own; empty where a prompt can be drawn."""
    if task not in PROMPTS:
        near = "".join(f"; did you mean {one}?" for one in get_close_matches(task, PROMPTS, 1))
        return f"no prompt for '{task}', and the record has no text{near or '; write the text into the record'}"
    if any(QUESTION in one for one in PROMPTS[task]):
        return f"'{task}' asks the data set's own question, and the record has no text"
    return ""


def prompt_for(task: str, seed: int, record_id: str, epoch: int, question: str = "") -> str:
    """One of a task's paraphrases: the same for the same seed, record and epoch.

    Raises:
        EarsightError: the task has no prompts, or wants a question that is not given.
    """
    if not question and (lack := lacking(task)):
        raise EarsightError(f"{record_id}: {lack}; tasks with prompts: {', '.join(tasks())}")
    templates = PROMPTS.get(task, _ASKED)
    digest = hashlib.blake2b(f"{seed}/{epoch}/{task}/{record_id}".encode("utf-8", "surrogatepass"), digest_size=8)
    template = templates[int.from_bytes(digest.digest(), "little") % len(templates)]
    return template.replace(QUESTION, question)
