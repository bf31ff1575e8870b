#!/bin/bash
# What a careful technician writes: watch, hash, transcode with the same presets, keep a copy. One file after the other.
# usage: naive-clips.sh INBOX OUT COUNT screens|mp3
set -u
inbox=$1 out=$2 count=$3 what=$4
done=0
film() { # FILE WIDTH HEIGHT OUT
  ffmpeg -nostdin -v error -y -i "$1" -map 0:v:0 -an \
    -vf "scale=$2:$3:force_original_aspect_ratio=decrease:force_divisible_by=2,pad=$2:$3:-1:-1,setsar=1,fps=25" \
    -c:v libx264 -preset veryfast -crf 23 -maxrate 6000k -bufsize 12000k -g 50 -pix_fmt yuv420p -movflags +faststart "$4"
}
sound() { # FILE OUT [OPTIONS]
  ffmpeg -nostdin -v error -y -i "$1" -vn -af loudnorm=I=-16:TP=-1.5 -ar 48000 -ac 2 "${@:3}" "$2"
}
inotifywait -m -q -e close_write -e moved_to --format '%f' "$inbox" | while read -r name; do
  stem=${name%.*}
  (cd "$inbox" && sha256sum "$name" >> "$out/SHA256SUMS")
  film "$inbox/$name" 1280 720 "$out/$stem-720.mp4"
  if [ "$what" = mp3 ]; then
    sound "$inbox/$name" "$out/$stem.mp3" -b:a 192k
  else
    film "$inbox/$name" 768 384 "$out/$stem-384.mp4"
    sound "$inbox/$name" "$out/$stem.wav"
  fi
  cp "$inbox/$name" "$out/original-$name"
  done=$((done + 1))
  if [ "$done" -eq "$count" ]; then touch "$out/finished"; exit 0; fi
done
