/** What is said of a lesson, changed by those who may: a dialog with a form. */
import type { Entry } from '../lib/api'
import { byId, h, label, say, show } from '../lib/dom'
import { ask, HttpError } from '../lib/http'
import type { Key } from '../lib/i18n'
import { type Sentence, sentence } from '../lib/sentences'
import { archiveToken } from './access'
import {
  type Changes,
  changesOf,
  FIELDS,
  type Field,
  type Form,
  formOf,
  LONGEST,
  tagsTrouble,
} from './edits'

const NAMES: Readonly<Record<Field, Key>> = {
  title: 'edit.name',
  school: 'archive.by.school',
  subject: 'archive.by.subject',
  grade: 'archive.by.grade',
  teacher: 'archive.by.teacher',
  series: 'archive.by.series',
  tags: 'edit.tags',
  notes: 'edit.notes',
}
const HINT = 'edit-tags-hint'

type Input = HTMLInputElement | HTMLTextAreaElement

export class Editor {
  readonly #button = byId('edit', HTMLButtonElement)
  readonly #onSaved: (saved: Entry) => void
  readonly #inputs = Object.fromEntries(
    FIELDS.map((field) => [field, input(field)]),
  ) as unknown as Readonly<Record<Field, Input>>
  readonly #trouble = h('p', { class: 'alert', role: 'alert', 'data-testid': 'edit-trouble' })
  readonly #save = h('button', { type: 'submit', class: 'primary', 'data-testid': 'edit-save' })
  readonly #dialog = this.#build()
  #entry: Entry | undefined

  /** `onSaved` is told what the lesson says of itself from now on. */
  constructor(onSaved: (saved: Entry) => void) {
    this.#onSaved = onSaved
    this.#button.addEventListener('click', () => this.#open())
    document.body.append(this.#dialog)
  }

  /** The lesson as it is now. What somebody is writing stays as it is. */
  offer(entry: Entry): void {
    this.#entry = entry
    show(this.#button, entry.editable === true)
  }

  #build(): HTMLDialogElement {
    const attributes = { class: 'editor', 'aria-labelledby': 'edit-title', 'data-testid': 'editor' }
    const title = h('h2', { id: 'edit-title' })
    say(title, 'edit.title')
    const cancel = h('button', { type: 'button', 'data-testid': 'edit-cancel' })
    say(cancel, 'edit.cancel')
    say(this.#save, 'edit.save')
    const actions = h('div', { class: 'dialog-actions' }, cancel, this.#save)
    const form = h('form', {}, title, ...FIELDS.map((field) => this.#row(field)))
    form.append(this.#trouble, actions)
    const dialog = h('dialog', attributes, form)
    cancel.addEventListener('click', () => dialog.close())
    form.addEventListener('submit', (event) => {
      event.preventDefault()
      void this.#submit()
    })
    return dialog
  }

  #row(field: Field): HTMLElement {
    const name = h('label', { for: `edit-${field}` })
    say(name, NAMES[field])
    const row = h('div', { class: 'editor-row', 'data-field': field }, name, this.#inputs[field])
    if (field === 'tags') {
      const hint = h('p', { class: 'hint', id: HINT })
      say(hint, 'edit.tagsHint')
      row.append(hint)
    }
    return row
  }

  #open(): void {
    if (!this.#entry) return
    const form = formOf(this.#entry)
    for (const field of FIELDS) this.#inputs[field].value = form[field]
    this.#tell(undefined)
    this.#dialog.showModal()
    this.#inputs.title.focus()
  }

  get #form(): Form {
    const values = FIELDS.map((field) => [field, this.#inputs[field].value])
    return Object.fromEntries(values) as unknown as Form
  }

  async #submit(): Promise<void> {
    const now = this.#entry
    if (!now || this.#save.disabled) return
    const trouble = tagsTrouble(this.#inputs.tags.value)
    this.#inputs.tags.setAttribute('aria-invalid', String(trouble !== undefined))
    this.#tell(trouble)
    if (trouble) {
      this.#inputs.tags.focus()
      return
    }
    this.#busy(true)
    try {
      await this.#send(now.id, changesOf(now, this.#form))
      this.#dialog.close()
    } catch (error) {
      this.#tell(sentenceOf(error))
    } finally {
      this.#busy(false)
    }
  }

  async #send(id: string, changes: Changes): Promise<void> {
    if (Object.keys(changes).length === 0) return
    const token = await archiveToken()
    const url = `/api/archive/${encodeURIComponent(id)}`
    const answer = await ask(url, { method: 'PATCH', token, json: changes })
    this.#onSaved((await answer.json()) as Entry)
  }

  #busy(busy: boolean): void {
    this.#save.disabled = busy
    say(this.#save, busy ? 'edit.saving' : 'edit.save')
  }

  #tell(said: Sentence | undefined): void {
    show(this.#trouble, said !== undefined)
    if (said) say(this.#trouble, said.key, said.params)
  }
}

function input(field: Field): Input {
  const attributes = {
    id: `edit-${field}`,
    name: field,
    dir: 'auto',
    autocomplete: 'off',
    'data-testid': `edit-${field}`,
    ...(field === 'tags' ? { 'aria-describedby': HINT } : { maxlength: String(LONGEST[field]) }),
  }
  const made =
    field === 'notes' ? h('textarea', { ...attributes, rows: '3' }) : h('input', attributes)
  label(made, NAMES[field])
  made.removeAttribute('title')
  return made
}

/** A refusal here is of the change, not of the lesson. */
function sentenceOf(error: unknown): Sentence {
  if (error instanceof HttpError && error.status === 403) return { key: 'edit.forbidden' }
  if (error instanceof HttpError && error.status === 503) return { key: 'edit.notWritten' }
  return sentence(error)
}
