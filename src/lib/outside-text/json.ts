/** What JSON may hold raw and a terminal, a pager or an editor would act on or hide. The line breaks of the layout stay. */
const UNSEEN = /[[\p{Cc}--\n]\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gv;
/** Nearly every document; JSON escapes the controls among them itself, all but DEL. */
const ASCII = /^[\n -~]*$/;

/** The same JSON document in characters that show: the others stand as `\uXXXX`, so it reads back as the same value. */
export function visibleJson(json: string): string {
  if (ASCII.test(json)) return json;
  return json.replace(UNSEEN, (char) =>
    [...Array(char.length).keys()].map((i) => `\\u${char.charCodeAt(i).toString(16).padStart(4, '0')}`).join(''),
  );
}
